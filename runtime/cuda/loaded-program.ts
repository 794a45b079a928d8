import {
  type BufferId,
  type KernelArgument,
  type KernelSource,
  type Program,
  ringSlots,
} from "../../src/ir/program.ts";
import { invariant } from "../../src/util/errors.ts";
import { CUDA_RESULTS, CudaError } from "../driver/check.ts";
import type {
  CudaDriver,
  DevicePtr,
  Graph,
  GraphExec,
  KernelLaunch,
  Stream,
} from "../driver/driver.ts";
import { offsetPtr, TENSOR_MAP_ALIGN } from "../driver/driver.ts";
import { type KernelArg, packArgs } from "../driver/kernel-args.ts";
import type { LoopEnd, Tensors } from "../executor.ts";
import { type BlockLayout, layOut } from "./block-layout.ts";
import { completion } from "./completion.ts";
import { type CudaDevice, disposed } from "./device.ts";
import { DeviceLoop } from "./device-loop.ts";
import type { LoopControl } from "./loop-control.ts";
import { checkRoom, explainAllocation } from "./memory-errors.ts";
import type { KernelModules } from "./modules.ts";
import { type OutputRing, type Slot, ringBytes } from "./ring.ts";
import type { SessionMemory, SharedNeeds } from "./session-memory.ts";
import type { States } from "./states.ts";
import { encodeTensor } from "./tensor-bytes.ts";
import type { DeviceWeights } from "./weights.ts";

/** What the programs of one session run with. */
export interface ProgramHome {
  readonly device: CudaDevice;
  readonly modules: KernelModules;
  readonly weights: DeviceWeights;
  readonly states: States;
  readonly memory: SessionMemory;
  readonly ring: OutputRing;
  readonly control: LoopControl;
  readonly stream: Stream;
  /** Makes the context current. @throws HydrantError when the session is of no use any more. */
  enter(): void;
}

/** Launches with addresses in them, good for one epoch of the session's memory. */
interface Bound {
  readonly epoch: number;
  readonly launches: readonly KernelLaunch[];
  /** All of a run as one call. */
  exec: GraphExec | undefined;
  /** Runs that repeat, as one call; its graph owns the condition. `refused` by the driver. */
  loop: { readonly graph: Graph; readonly exec: GraphExec } | "refused" | undefined;
}

/** Bytes of memory a program shares with the others of its session. */
export function sharedNeeds(program: Program): SharedNeeds {
  return {
    arena: program.arenaBytes,
    inputs: layOut(program.buffers, "input").bytes,
    counters: layOut(program.buffers, "counter").bytes,
    ring: ringBytes(program.ring.slotBytes),
  };
}

/** Bytes of a program's constants. */
export function constantBytes(program: Program): number {
  return layOut(program.buffers, "constant").bytes;
}

/** A program on the device: its constants, its launches with addresses, and how to run them. */
export class LoadedProgram {
  readonly program: Program;
  readonly #home: ProgramHome;
  readonly #isCaptured: boolean;
  readonly #needs: SharedNeeds;
  readonly #inputs: BlockLayout;
  readonly #counters: BlockLayout;
  readonly #constants: BlockLayout;
  readonly #publishes: boolean;
  #constantsPtr: DevicePtr | undefined;
  #bound: Bound | undefined;
  #isDisposed = false;

  /** @param isCaptured for programs that run often: costs a capture, saves a call per launch. */
  constructor(program: Program, home: ProgramHome, isCaptured: boolean) {
    this.program = program;
    this.#home = home;
    this.#isCaptured = isCaptured;
    this.#needs = sharedNeeds(program);
    this.#inputs = layOut(program.buffers, "input");
    this.#counters = layOut(program.buffers, "counter");
    this.#constants = layOut(program.buffers, "constant");
    this.#publishes = program.launches.some(({ args }) => args.some(({ type }) => type === "ring"));
  }

  /** Device memory of its own. */
  get bytes(): number {
    return this.#constantsPtr === undefined ? 0 : this.#constants.bytes;
  }

  /** Compiles, loads, uploads and captures what is not yet. No run of the session may be under way. */
  async prepare(): Promise<void> {
    const bound = await this.#prepare();
    if (this.#isCaptured) bound.exec ??= this.#capture(bound.launches);
  }

  /** As `prepare`, for `startLoop`. @returns false when there are no loops here. */
  async prepareLoop(): Promise<boolean> {
    const { modules, control, states } = this.#home;
    const hasStates = states.has("length") && states.has("history");
    if (!this.#isCaptured || !this.#publishes || !hasStates) return false;
    const bound = await this.#prepare();
    const kernel = await control.prepare(modules);
    if (kernel === undefined) return false;
    this.#home.enter();
    if (this.#isDisposed) throw disposed("graph");
    bound.loop ??= this.#captureLoop(bound.launches, kernel);
    return bound.loop !== "refused";
  }

  async #prepare(): Promise<Bound> {
    const { modules, memory } = this.#home;
    const { kernels } = this.program;
    if (!modules.isLoaded(kernels)) {
      await modules.load(kernels);
      this.#home.enter();
      if (this.#isDisposed) throw disposed("graph");
    }
    memory.reserve(this.#needs);
    if (this.#constantsPtr === undefined && this.#constants.bytes > 0) this.#uploadConstants();
    const bound = this.#bound;
    return bound?.epoch === memory.epoch ? bound : this.#bind();
  }

  /** One run of a prepared program. `inputs` have been checked. */
  async run(inputs: Tensors): Promise<Tensors> {
    const { device, ring, stream, enter } = this.#home;
    const { driver } = device;
    const { bound, slot } = this.#beginRun(inputs);
    const isPublished = () => slot !== undefined && ring.isPublished(slot);
    this.#launch(bound);
    await completion(driver, stream, enter, isPublished);
    if (slot === undefined) return {};
    invariant(isPublished(), `program ${this.program.name} ended without publishing its outputs`);
    return ring.take(slot, this.program.ring.fields);
  }

  /** Launches a prepared loop. `inputs` have been checked. */
  startLoop(inputs: Tensors, end: LoopEnd): DeviceLoop {
    const { device, ring, control, stream } = this.#home;
    const { slotBytes, fields } = this.program.ring;
    const loop = this.#bound?.loop;
    invariant(loop !== undefined && loop !== "refused", "a loop is prepared before it runs");
    this.#writeInputs(inputs);
    const runs = Math.min(device.loopRuns, ringSlots(slotBytes));
    const slots = ring.claimAll(slotBytes, runs);
    // Ahead of the graph: its launches begin anew with every run, its inputs do not.
    this.#copyInputs();
    control.begin(end, runs);
    device.driver.graphLaunch(loop.exec, stream);
    return new DeviceLoop(this.#home, slots, fields);
  }

  /**
   * As `run`, but launch by launch with an event between each two.
   * @returns milliseconds of every launch, by the device's clock.
   */
  async profile(inputs: Tensors): Promise<readonly number[]> {
    const { device, ring, stream, enter } = this.#home;
    const { driver } = device;
    const { bound, slot } = this.#beginRun(inputs);
    const endHold = holdStream(driver, stream);
    this.#queue([]);
    const events = [undefined, ...bound.launches].map((launch) => {
      if (launch !== undefined) driver.launch({ ...launch, programmatic: false }, stream);
      const event = driver.eventCreate({ timing: true });
      driver.eventRecord(event, stream);
      return event;
    });
    try {
      await completion(driver, stream, enter, () => driver.streamQuery(stream));
      if (slot !== undefined) ring.take(slot, this.program.ring.fields);
      return events.slice(1).map((event, i) => driver.eventElapsed(events[i] ?? event, event));
    } finally {
      for (const event of events) device.release(() => driver.eventDestroy(event));
      device.release(endHold);
    }
  }

  /** One run as `run` makes it. @returns its milliseconds by the device's clock. */
  async time(inputs: Tensors): Promise<number> {
    const { device, ring, stream, enter } = this.#home;
    const { driver } = device;
    const { bound, slot } = this.#beginRun(inputs);
    const endHold = holdStream(driver, stream, 2);
    const [begin, end] = [0, 1].map(() => driver.eventCreate({ timing: true }));
    invariant(begin !== undefined && end !== undefined, "two events were made");
    try {
      driver.eventRecord(begin, stream);
      this.#launch(bound);
      driver.eventRecord(end, stream);
      await completion(driver, stream, enter, () => driver.streamQuery(stream));
      if (slot !== undefined) ring.take(slot, this.program.ring.fields);
      return driver.eventElapsed(begin, end);
    } finally {
      for (const event of [begin, end]) device.release(() => driver.eventDestroy(event));
      device.release(endHold);
    }
  }

  /** What every way to make one run begins with. */
  #beginRun(inputs: Tensors): { readonly bound: Bound; readonly slot: Slot | undefined } {
    const bound = this.#bound;
    invariant(bound !== undefined, "a program is prepared before it runs");
    this.#writeInputs(inputs);
    const slot = this.#publishes ? this.#home.ring.claim(this.program.ring.slotBytes) : undefined;
    return { bound, slot };
  }

  /** One run, captured or launch by launch. */
  #launch({ exec, launches }: Bound): void {
    const { device, stream } = this.#home;
    if (exec !== undefined) device.driver.graphLaunch(exec, stream);
    else this.#queue(launches);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#unbind();
    const { device } = this.#home;
    const ptr = this.#constantsPtr;
    this.#constantsPtr = undefined;
    if (ptr !== undefined) device.release(() => device.driver.memFree(ptr));
  }

  #uploadConstants(): void {
    const { device } = this.#home;
    const { offsets, bytes } = this.#constants;
    const needs = [{ what: "constants", bytes }];
    checkRoom(device, "cuda/session-too-large", needs);
    const block = new Uint8Array(bytes);
    for (const [id, offset] of offsets) {
      const storage = this.program.buffers[id]?.storage;
      if (storage?.kind === "constant") block.set(storage.data, offset);
    }
    try {
      this.#constantsPtr = device.driver.memAlloc(bytes);
      device.driver.memcpyHtoD(this.#constantsPtr, block);
    } catch (error) {
      throw explainAllocation(device, "cuda/session-too-large", needs, error);
    }
  }

  #bind(): Bound {
    this.#unbind();
    const { device, modules, memory } = this.#home;
    const kernels = new Map(this.program.kernels.map((kernel) => [kernel.entry, kernel]));
    const launches = this.program.launches.map((launch, index): KernelLaunch => {
      const kernel = kernels.get(launch.kernel);
      invariant(kernel !== undefined, `program ${this.program.name} has kernel ${launch.kernel}`);
      const [x, y, z] = launch.grid;
      return {
        function: modules.function(kernel),
        grid: { x, y, z },
        block: { x: kernel.threads, y: 1, z: 1 },
        sharedBytes: kernel.sharedBytes,
        args: packArgs(launch.args.map((arg) => this.#argument(arg))),
        // Starts beside the launch before it; the first has a copy of inputs before it, or another run.
        programmatic: device.overlapsLaunches && index > 0,
      };
    });
    const bound = { epoch: memory.epoch, launches, exec: undefined, loop: undefined };
    this.#bound = bound;
    return bound;
  }

  #unbind(): void {
    const { device } = this.#home;
    const { exec, loop } = this.#bound ?? {};
    this.#bound = undefined;
    if (exec !== undefined) device.release(() => device.driver.graphExecDestroy(exec));
    if (loop === undefined || loop === "refused") return;
    device.release(() => device.driver.graphExecDestroy(loop.exec));
    device.release(() => device.driver.graphDestroy(loop.graph));
  }

  #capture(launches: readonly KernelLaunch[]): GraphExec {
    const { device, stream } = this.#home;
    const { driver } = device;
    driver.streamBeginCapture(stream);
    try {
      this.#queue(launches);
    } catch (error) {
      // Only an ended capture lets the stream work again.
      device.release(() => driver.graphDestroy(driver.streamEndCapture(stream)));
      throw error;
    }
    const graph = driver.streamEndCapture(stream);
    try {
      return driver.graphInstantiate(graph);
    } finally {
      device.release(() => driver.graphDestroy(graph));
    }
  }

  /**
   * The launches and the decision about the next run as the body of a loop. A driver that cannot
   * have these launches in a body refuses the loop; runs are launched one by one then.
   */
  #captureLoop(launches: readonly KernelLaunch[], kernel: KernelSource): Bound["loop"] {
    const { device, modules, control, states, stream } = this.#home;
    const { driver } = device;
    const graph = driver.graphCreate();
    let isSpoilt = false;
    try {
      // Every launch of the graph begins with a run.
      const handle = driver.graphConditionalCreate(graph, 1);
      const { bodies } = driver.graphAddConditionalNode(graph, [], {
        kind: "while",
        handle,
        bodies: 1,
      });
      const [body] = bodies;
      invariant(body !== undefined, "a loop has a body");
      driver.streamBeginCaptureToGraph(stream, body, []);
      isSpoilt = true;
      try {
        for (const launch of launches) driver.launch(launch, stream);
        const last: KernelLaunch = {
          function: modules.function(kernel),
          grid: { x: 1, y: 1, z: 1 },
          block: { x: kernel.threads, y: 1, z: 1 },
          args: packArgs([
            { type: "u64", value: handle },
            { type: "ptr", value: control.block },
            { type: "ptr", value: control.signals },
            { type: "ptr", value: states.ptr("length") },
            { type: "ptr", value: states.ptr("history") },
          ]),
          programmatic: device.overlapsLaunches,
        };
        driver.launch(last, stream);
      } catch (error) {
        device.release(() => {
          driver.streamEndCapture(stream);
          isSpoilt = false;
        });
        throw error;
      }
      // The body is the node's: there is nothing to give back.
      driver.streamEndCapture(stream);
      isSpoilt = false;
      return { graph, exec: driver.graphInstantiate(graph) };
    } catch (error) {
      // With a capture that an error has ended, drivers (of CUDA 13 too) free the body that the node
      // still owns: to destroy the graph then would end the process. It stays, a few kilobytes.
      if (!isSpoilt) device.release(() => driver.graphDestroy(graph));
      if (isRefusal(error)) return "refused";
      throw error;
    }
  }

  /** A run, as the stream sees it. */
  #queue(launches: readonly KernelLaunch[]): void {
    const { device, stream } = this.#home;
    this.#copyInputs();
    for (const launch of launches) device.driver.launch(launch, stream);
  }

  #copyInputs(): void {
    const { device, memory, stream } = this.#home;
    const { inputs, hostInputs } = memory;
    if (this.#inputs.bytes > 0 && inputs !== undefined && hostInputs !== undefined)
      device.driver.memcpyHtoDAsync(inputs, hostInputs, 0, this.#inputs.bytes, stream);
  }

  #writeInputs(inputs: Tensors): void {
    const { hostInputs } = this.#home.memory;
    for (const [id, offset] of this.#inputs.offsets) {
      const buffer = this.program.buffers[id];
      if (buffer?.storage.kind !== "input") continue;
      const data = inputs[buffer.storage.name];
      invariant(data !== undefined && hostInputs !== undefined, "inputs are checked and have room");
      const bytes = encodeTensor(buffer.dtype, data);
      hostInputs.view(offset, bytes.byteLength).set(bytes);
    }
  }

  #argument(arg: KernelArgument): KernelArg {
    switch (arg.type) {
      case "i32":
      case "f32":
        return { type: arg.type, value: arg.value };
      case "buffer":
        return { type: "ptr", value: this.#address(arg.buffer) };
      case "table": {
        const addresses = BigUint64Array.from(arg.buffers, (id) => BigInt(this.#address(id)));
        return { type: "bytes", value: new Uint8Array(addresses.buffer), align: 8 };
      }
      case "tensor-map": {
        const map = this.#home.device.driver.tensorMapEncode(this.#address(arg.buffer), arg.map);
        return { type: "bytes", value: map, align: TENSOR_MAP_ALIGN };
      }
      case "ring": {
        const { ring } = this.#home.memory;
        invariant(ring !== undefined, "the ring is allocated before programs are bound");
        return { type: "ptr", value: ring.devicePtr };
      }
      default:
        return arg satisfies never;
    }
  }

  #address(id: BufferId): DevicePtr {
    const { weights, states, memory } = this.#home;
    const buffer = this.program.buffers[id];
    invariant(buffer !== undefined, `program ${this.program.name} has buffer ${id}`);
    const { storage } = buffer;
    switch (storage.kind) {
      case "parameter":
        return weights.ptr(storage.name);
      case "state":
        return states.ptr(storage.name);
      case "scratch":
        return at(memory.arena, storage.offset);
      case "input":
        return at(memory.inputs, this.#inputs.offsets.get(id));
      case "counter":
        return at(memory.counters, this.#counters.offsets.get(id));
      case "constant":
        return at(this.#constantsPtr, this.#constants.offsets.get(id));
      default:
        return storage satisfies never;
    }
  }
}

/** True when the driver works, but not this way. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof CudaError &&
    !error.sticky &&
    error.result !== CUDA_RESULTS.CUDA_ERROR_OUT_OF_MEMORY
  );
}

/**
 * Gives a GPU some milliseconds of work, so that what is queued meanwhile runs without waiting for
 * the host between launches. @returns gives the memory back.
 */
function holdStream(driver: CudaDriver, stream: Stream, milliseconds = 8): () => void {
  if (driver.kind === "emulator") return () => {};
  const bytes = Math.max(4, Math.min(2 ** 32, Math.floor(driver.memoryInfo().free / 8) * 4));
  const ballast = driver.memAlloc(bytes);
  // A GPU clears about this much in a millisecond.
  for (let i = 0; i < milliseconds; i++) driver.memsetD32Async(ballast, 0, bytes / 4, stream);
  return () => driver.memFree(ballast);
}

function at(base: DevicePtr | undefined, offset: number | undefined): DevicePtr {
  invariant(base !== undefined && offset !== undefined, "memory is allocated before it is bound");
  return offsetPtr(base, offset);
}
