import { type Graph, sourcesOf, typeOf } from "../../src/ir/graph.ts";
import type { Program, ProgramCompiler } from "../../src/ir/program.ts";
import { bindShape, type DimBindings } from "../../src/ir/shape.ts";
import type { Stream } from "../driver/driver.ts";
import { checkParameters } from "../check-parameters.ts";
import type { Session, TensorData } from "../executor.ts";
import { type CudaDevice, disposed } from "./device.ts";
import { CudaExecutable, type ExecutableHost, openSymbols } from "./executable.ts";
import { constantBytes, type ProgramHome, sharedNeeds } from "./loaded-program.ts";
import { checkRoom, explainAllocation } from "./memory-errors.ts";
import { LoopControl } from "./loop-control.ts";
import type { KernelModules } from "./modules.ts";
import { OutputRing, ringNumber } from "./ring.ts";
import { SessionMemory } from "./session-memory.ts";
import { type StateDeclaration, States, stateBytes } from "./states.ts";
import type { DeviceWeights } from "./weights.ts";

/** Bytes a session takes. */
export interface SessionMemoryUse {
  /** Caches, lengths, whatever outlives a run. */
  readonly states: number;
  /** Scratch memory that all its programs share. */
  readonly arena: number;
  /** Constants, inputs, counters, what steers loops. */
  readonly programs: number;
  /** Page-locked host memory that outputs come back through. */
  readonly ring: number;
}

export interface SessionOptions {
  readonly device: CudaDevice;
  readonly modules: KernelModules;
  readonly compiler: ProgramCompiler;
  readonly weights: DeviceWeights;
  readonly dims: DimBindings;
  readonly onDispose: () => void;
}

/** A generation in progress on a device: one stream, on which its runs follow each other. */
export class CudaSession implements Session {
  readonly #options: SessionOptions;
  readonly #stream: Stream;
  readonly #states: States;
  readonly #memory: SessionMemory;
  readonly #control: LoopControl;
  readonly #host: ExecutableHost;
  readonly #executables = new Set<CudaExecutable>();
  /** Ends with the last piece of work so far. */
  #last: Promise<unknown> = Promise.resolve();
  #isDisposed = false;

  constructor(options: SessionOptions) {
    const { device, modules, compiler, weights, dims } = options;
    this.#options = options;
    this.#stream = device.attempt("session", () => device.driver.streamCreate());
    this.#states = new States(device, this.#stream);
    this.#memory = new SessionMemory(device, this.#stream);
    this.#control = new LoopControl(device, this.#stream, compiler);
    const home: ProgramHome = {
      device,
      modules,
      weights,
      states: this.#states,
      memory: this.#memory,
      ring: new OutputRing(this.#memory, () => this.#states.read(ringNumber)),
      control: this.#control,
      stream: this.#stream,
      enter: () => this.#enter(),
    };
    this.#host = {
      home,
      dims,
      compile: (graph, bound) => this.#compile(graph, bound),
      exclusive: (work) => this.#exclusive(work),
      failed: (error, path) => this.#failed(error, path),
    };
  }

  compile(graph: Graph): CudaExecutable {
    return this.#attempt(graph.name, () => {
      const { dims } = this.#options;
      checkParameters(graph, (name) => this.#options.weights.type(name));
      this.#states.missing(this.#declarations(graph));
      const isOpen = openSymbols(graph, dims).size > 0;
      if (isOpen) this.#addStates(this.#declarations(graph), undefined);
      const program = isOpen ? undefined : this.#compile(graph, dims);
      const executable = new CudaExecutable(graph, this.#host, program, () =>
        this.#executables.delete(executable),
      );
      this.#executables.add(executable);
      return executable;
    });
  }

  readState(name: string): TensorData {
    return this.#attempt("readState", () => this.#states.read(name));
  }

  writeState(name: string, data: TensorData): void {
    this.#attempt("writeState", () => this.#states.write(name, data));
  }

  memory(): SessionMemoryUse {
    const { arena, ring, other } = this.#memory.bytes;
    const own = [...this.#executables].reduce((sum, { bytes }) => sum + bytes, 0);
    const loop = this.#control.bytes;
    return {
      states: this.#states.bytes,
      arena,
      programs: own + other + loop.device,
      ring: ring + loop.host,
    };
  }

  dispose(): void {
    if (this.#isDisposed) return;
    const { device } = this.#options;
    const { driver } = device;
    // A run may be under way; its memory is given back only once nothing uses it.
    this.#control.stop();
    device.release(() => {
      device.enter();
      driver.streamSynchronize(this.#stream);
    });
    this.#isDisposed = true;
    for (const executable of [...this.#executables]) executable.dispose();
    this.#states.dispose();
    this.#memory.dispose();
    this.#control.dispose();
    device.release(() => driver.streamDestroy(this.#stream));
    this.#options.onDispose();
  }

  #compile(graph: Graph, dims: DimBindings): Program {
    const { compiler, device } = this.#options;
    const program = compiler.compile(graph, dims, device.target);
    const declared = this.#declarations(graph);
    const names = new Set(declared.map(({ name }) => name));
    // Those the program brings along, like the ring's number.
    const own = program.buffers.flatMap(({ storage, dtype, elements }) =>
      storage.kind === "state" && !names.has(storage.name)
        ? [{ name: storage.name, dtype, shape: [elements] }]
        : [],
    );
    this.#addStates([...declared, ...own], program);
    return program;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  #failed(error: unknown, path: string): unknown {
    const { device } = this.#options;
    const explained = device.explain(error, path);
    // What was queued before the error may still run; the next run must not meet it.
    if (!this.#isDisposed) device.release(() => device.driver.streamSynchronize(this.#stream));
    return explained;
  }

  #enter(): void {
    if (this.#isDisposed) throw disposed("session");
    this.#options.device.enter();
  }

  #attempt<T>(path: string, work: () => T): T {
    try {
      this.#enter();
      return work();
    } catch (error) {
      throw this.#options.device.explain(error, path);
    }
  }

  /** States of a graph. An update may name one that the graph never reads. */
  #declarations(graph: Graph): StateDeclaration[] {
    const named = [
      ...sourcesOf(graph, "state"),
      ...graph.updates.map(({ state, value }) => ({ name: state, value })),
    ];
    return named.map(({ name, value }) => {
      const { dtype, shape } = typeOf(graph, value);
      return { name, dtype, shape: bindShape(shape, this.#options.dims) };
    });
  }

  /** @throws HydrantError `cuda/session-too-large`, before anything is allocated */
  #addStates(declarations: readonly StateDeclaration[], program: Program | undefined): void {
    const { device } = this.#options;
    const missing = this.#states.missing(declarations);
    const bytes = missing.reduce((sum, declaration) => sum + stateBytes(declaration), 0);
    const shared = program === undefined ? [] : this.#memory.growth(sharedNeeds(program));
    const constants = program === undefined ? 0 : constantBytes(program);
    const needs = [
      { what: "caches and other states", bytes },
      ...shared,
      { what: "constants", bytes: constants },
    ];
    if (needs.every((need) => need.bytes === 0)) return;
    checkRoom(device, "cuda/session-too-large", needs);
    try {
      this.#states.add(missing);
    } catch (error) {
      throw explainAllocation(device, "cuda/session-too-large", needs, error);
    }
  }
}
