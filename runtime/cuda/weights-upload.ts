import { byteSize } from "../../src/ir/dtype.ts";
import { decodeFloats } from "../../src/ir/float-formats.ts";
import type { FillCall, KernelSource, PackKernel, ProgramCompiler } from "../../src/ir/program.ts";
import { HydrantError, invariant } from "../../src/util/errors.ts";
import type { CudaEvent, DevicePtr, HostMemory, Stream } from "../driver/driver.ts";
import { offsetPtr } from "../driver/driver.ts";
import { type KernelArg, packArgs } from "../driver/kernel-args.ts";
import type { ParameterSource } from "../executor.ts";
import { allFinite, checkFiniteBlocks, checkFiniteKernel } from "./check-finite.ts";
import type { CudaDevice } from "./device.ts";
import { eventLoopTurn } from "../event-loop.ts";
import type { KernelModules } from "./modules.ts";
import type { Piece, WeightPlan } from "./weight-pieces.ts";

/** Where pieces pass through on their way: one is read while others are copied and packed. */
interface Lane {
  /** A piece, and after it the index of its first bad element. */
  readonly pinned: HostMemory;
  readonly staging: DevicePtr | undefined;
  readonly bad: DevicePtr;
  readonly done: CudaEvent;
  /** The piece under way to the device. */
  piece: Piece | undefined;
}

export interface UploadOptions {
  readonly source: ParameterSource;
  readonly weights: readonly WeightPlan[];
  readonly pieces: Iterator<Piece>;
  readonly place: (weight: WeightPlan) => DevicePtr;
  readonly lanes: number;
  /** Bytes of a lane's buffers. */
  readonly staging: number;
  readonly signal: AbortSignal | undefined;
}

/** Device memory an upload needs besides the weights. */
export function uploadBytes(
  weights: readonly WeightPlan[],
  lanes: number,
  staging: number,
): number {
  return lanes * ((isPacking(weights) ? staging : 0) + 256);
}

const isPacking = (weights: readonly WeightPlan[]): boolean =>
  weights.some(({ layout }) => layout === "packed");

/**
 * Brings weights to the device: file → page-locked memory → device → packed, every lane a piece at a
 * time. Reads overlap with the other lanes' copies; no tensor is ever whole on the host.
 */
export class WeightsUpload {
  readonly #device: CudaDevice;
  readonly #modules: KernelModules;
  readonly #compiler: ProgramCompiler;
  readonly #options: UploadOptions;
  readonly #packs = new Map<WeightPlan, PackKernel>();
  readonly #lanes: Lane[] = [];
  readonly #undo: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(
    device: CudaDevice,
    modules: KernelModules,
    compiler: ProgramCompiler,
    options: UploadOptions,
  ) {
    this.#device = device;
    this.#modules = modules;
    this.#compiler = compiler;
    this.#options = options;
  }

  /** @throws HydrantError `executor/not-finite`; what the signal, the source or the driver throw */
  async run(): Promise<void> {
    try {
      await this.#modules.load(this.#kernels());
      this.#device.enter();
      const { driver } = this.#device;
      const stream = this.#keep(driver.streamCreate(), (made) => driver.streamDestroy(made));
      for (let i = 0; i < this.#options.lanes; i++) this.#lanes.push(this.#makeLane());
      // Every lane comes to its end before buffers are given back, so that no read writes into them.
      await Promise.all(this.#lanes.map((lane) => this.#feed(lane, stream)));
      this.#keep(stream, (made) => driver.streamSynchronize(made));
      if (this.#failure !== undefined) throw this.#failure.error;
    } finally {
      for (const undo of this.#undo.reverse()) this.#device.release(undo);
    }
  }

  #kernels(): KernelSource[] {
    const kernels: KernelSource[] = [];
    for (const weight of this.#options.weights) {
      kernels.push(checkFiniteKernel(weight.dtype));
      const [outputs = 0, inputs = 0] = weight.shape;
      if (weight.layout !== "packed") continue;
      const pack = this.#compiler.pack(weight.dtype, outputs, inputs);
      this.#packs.set(weight, pack);
      kernels.push(pack);
    }
    return kernels;
  }

  #makeLane(): Lane {
    const { driver } = this.#device;
    const { staging, weights } = this.#options;
    const allocate = (bytes: number): DevicePtr =>
      this.#keep(driver.memAlloc(bytes), (made) => driver.memFree(made));
    return {
      pinned: this.#keep(driver.memAllocHost(staging + 16), (made) => driver.memFreeHost(made)),
      staging: isPacking(weights) ? allocate(staging) : undefined,
      bad: allocate(16),
      done: this.#keep(driver.eventCreate(), (made) => driver.eventDestroy(made)),
      piece: undefined,
    };
  }

  /** Takes pieces until there are none or another lane has failed. Never throws. */
  async #feed(lane: Lane, stream: Stream): Promise<void> {
    try {
      while (this.#failure === undefined) {
        await this.#arrived(lane);
        this.#options.signal?.throwIfAborted();
        const next = this.#options.pieces.next();
        if (next.done === true) return;
        const fill = this.#fill(next.value);
        if (fill !== undefined) await this.#modules.load([fill.kernel]);
        else await this.#read(lane, next.value);
        this.#device.enter();
        this.#send(lane, next.value, fill, stream);
      }
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #fill({ weight, first, count }: Piece): FillCall | undefined {
    const values = this.#options.source.synthetic?.(weight.name);
    return values && this.#compiler.fill?.(weight.dtype, values, first, count);
  }

  async #read({ pinned }: Lane, { weight, first, count }: Piece): Promise<void> {
    const width = byteSize(weight.dtype);
    const bytes = pinned.view(0, count * width);
    await this.#options.source.read(weight.name, bytes, first * width);
  }

  #send(lane: Lane, piece: Piece, fill: FillCall | undefined, stream: Stream): void {
    const { driver } = this.#device;
    const { weight, first, count } = piece;
    const width = byteSize(weight.dtype);
    const place = this.#options.place(weight);
    const pack = this.#packs.get(weight);
    const raw = pack === undefined ? offsetPtr(place, first * width) : lane.staging;
    invariant(raw !== undefined, "packed weights have a staging buffer");
    if (fill !== undefined) this.#launchFill(fill, raw, stream);
    else driver.memcpyHtoDAsync(raw, lane.pinned, 0, count * width, stream);
    driver.memsetD32Async(lane.bad, allFinite, 1, stream);
    this.#launch(
      checkFiniteKernel(weight.dtype),
      [checkFiniteBlocks(count), 1, 1],
      [
        { type: "ptr", value: raw },
        { type: "i32", value: count },
        { type: "ptr", value: lane.bad },
      ],
      stream,
    );
    driver.memcpyDtoHAsync(lane.pinned, this.#options.staging, lane.bad, 4, stream);
    if (pack !== undefined) {
      const inputs = weight.shape[1] ?? 1;
      this.#launch(
        pack,
        pack.grid(count / inputs),
        [
          { type: "ptr", value: raw },
          { type: "ptr", value: place },
          { type: "i32", value: first / inputs },
          { type: "i32", value: count / inputs },
        ],
        stream,
      );
    }
    driver.eventRecord(lane.done, stream);
    lane.piece = piece;
  }

  #launchFill({ kernel, launch }: FillCall, destination: DevicePtr, stream: Stream): void {
    const args = launch.args.map((arg): KernelArg => {
      if (arg.type === "i32" || arg.type === "f32") return arg;
      invariant(arg.type === "buffer" && arg.buffer === 0, "a fill writes buffer 0");
      return { type: "ptr", value: destination };
    });
    this.#launch(kernel, launch.grid, args, stream);
  }

  #launch(
    kernel: KernelSource,
    [x, y, z]: readonly [number, number, number],
    args: readonly KernelArg[],
    stream: Stream,
  ): void {
    this.#device.driver.launch(
      {
        function: this.#modules.function(kernel),
        grid: { x, y, z },
        block: { x: kernel.threads, y: 1, z: 1 },
        sharedBytes: kernel.sharedBytes,
        args: packArgs(args),
      },
      stream,
    );
  }

  /** Waits until the lane's piece is in its place. @throws HydrantError `executor/not-finite` */
  async #arrived(lane: Lane): Promise<void> {
    const { piece, pinned, done } = lane;
    if (piece === undefined) return;
    const { driver } = this.#device;
    for (;;) {
      this.#device.enter();
      if (driver.eventQuery(done)) break;
      await eventLoopTurn();
    }
    lane.piece = undefined;
    const view = pinned.view(this.#options.staging, 4);
    const bad = new DataView(view.buffer, view.byteOffset, 4).getUint32(0, true);
    if (bad !== allFinite) throw this.#notFinite(lane, piece, bad);
  }

  #notFinite({ pinned }: Lane, { weight, first }: Piece, bad: number): HydrantError {
    const width = byteSize(weight.dtype);
    const isSynthetic = this.#options.source.synthetic?.(weight.name) !== undefined;
    // The piece is still where it was read to.
    const [value] = decodeFloats(weight.dtype, pinned.view(bad * width, width));
    const found = isSynthetic ? "NaN or infinity" : (value ?? "NaN");
    return new HydrantError(
      "executor/not-finite",
      `The tensor holds ${found} at element ${first + bad}.`,
      {
        path: weight.name,
        hint: "The file is damaged or its training failed: get it again.",
      },
    );
  }

  /** Notes how to give something back when the upload ends. */
  #keep<T>(made: T, undo: (made: T) => void): T {
    this.#undo.push(() => undo(made));
    return made;
  }
}
