import { loopBlock, loopSignals, maxLoopStopTokens } from "../../src/ir/loop-block.ts";
import type { KernelSource, ProgramCompiler } from "../../src/ir/program.ts";
import { HydrantError, invariant } from "../../src/util/errors.ts";
import type { DevicePtr, HostMemory, Stream } from "../driver/driver.ts";
import type { LoopEnd } from "../executor.ts";
import type { CudaDevice } from "./device.ts";
import { explainAllocation } from "./memory-errors.ts";
import type { KernelModules } from "./modules.ts";

const wordBytes = 4;
const blockBytes = wordBytes * loopBlock.words;
/** Where the host lays the block down for its copy: not in the line that the device reads and writes. */
const imageOffset = 128;
const sharedBytes = imageOffset + blockBytes;

/**
 * A session's end of loops on the device: the block that steers them and the words both sides talk
 * by. Allocated with the first loop; its addresses never change.
 */
export class LoopControl {
  /** What ends a run; undefined where there are no loops. */
  #kernel: KernelSource | undefined;
  readonly #device: CudaDevice;
  readonly #stream: Stream;
  #block: DevicePtr | undefined;
  #shared: HostMemory | undefined;

  constructor(device: CudaDevice, stream: Stream, compiler: ProgramCompiler) {
    this.#device = device;
    this.#stream = stream;
    this.#kernel = device.hasLoops ? compiler.loop?.() : undefined;
  }

  /**
   * Makes ready what ends a run. @returns it, or undefined where there are no loops: where compiler
   * and driver cannot agree on it as well, for which no generation need fail.
   */
  async prepare(modules: KernelModules): Promise<KernelSource | undefined> {
    const kernel = this.#kernel;
    if (kernel === undefined) return undefined;
    try {
      if (!modules.isLoaded([kernel])) await modules.load([kernel]);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#kernel = undefined;
      return undefined;
    }
    this.#device.enter();
    this.#reserve();
    return kernel;
  }

  get block(): DevicePtr {
    invariant(this.#block !== undefined, "a loop's block is allocated before it is bound");
    return this.#block;
  }

  get signals(): DevicePtr {
    return this.#host().devicePtr;
  }

  /** Bytes on the device, and in page-locked memory. */
  get bytes(): { readonly device: number; readonly host: number } {
    return {
      device: this.#block === undefined ? 0 : blockBytes,
      host: this.#shared === undefined ? 0 : sharedBytes,
    };
  }

  /** @throws HydrantError `cuda/session-too-large` */
  #reserve(): void {
    const { driver } = this.#device;
    try {
      this.#block ??= driver.memAlloc(blockBytes);
      this.#shared ??= driver.memAllocHost(sharedBytes);
    } catch (error) {
      const needs = [{ what: "the loop's block", bytes: blockBytes }];
      throw explainAllocation(this.#device, "cuda/session-too-large", needs, error);
    }
  }

  /** Queues what the next loop starts from. No loop may be under way. */
  begin(end: LoopEnd, runs: number): void {
    const stopTokens = end.stopTokens.slice(0, maxLoopStopTokens);
    const image = this.#words(imageOffset, loopBlock.words);
    image[loopBlock.runs] = runs;
    image[loopBlock.length] = end.length;
    image[loopBlock.lastLength] = end.lastLength;
    image[loopBlock.stopTokenCount] = stopTokens.length;
    image.set(stopTokens, loopBlock.stopTokens);
    const signals = this.#signals();
    Atomics.store(signals, loopSignals.stop, 0);
    Atomics.store(signals, loopSignals.ended, 0);
    const { driver } = this.#device;
    driver.memcpyHtoDAsync(this.block, this.#host(), imageOffset, blockBytes, this.#stream);
  }

  /** Asks the loop under way to end after its run. */
  stop(): void {
    if (this.#shared !== undefined) Atomics.store(this.#signals(), loopSignals.stop, 1);
  }

  /** True when the last run of the loop has published its outputs and no other will. */
  get hasEnded(): boolean {
    return Atomics.load(this.#signals(), loopSignals.ended) !== 0;
  }

  dispose(): void {
    const { driver } = this.#device;
    const [block, shared] = [this.#block, this.#shared];
    this.#block = undefined;
    this.#shared = undefined;
    if (block !== undefined) this.#device.release(() => driver.memFree(block));
    if (shared !== undefined) this.#device.release(() => driver.memFreeHost(shared));
  }

  #signals(): Int32Array {
    return this.#words(0, loopSignals.words);
  }

  #words(offset: number, count: number): Int32Array {
    const bytes = this.#host().view(offset, wordBytes * count);
    return new Int32Array(bytes.buffer, bytes.byteOffset, count);
  }

  #host(): HostMemory {
    invariant(this.#shared !== undefined, "a loop's signals are allocated before it is bound");
    return this.#shared;
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof HydrantError &&
    (error.code === "cuda/kernel-refused" || error.code === "nvrtc/compile")
  );
}
