import { HydrantError } from "../../src/util/errors.ts";
import type { Arena } from "./arena.ts";
import { control, kernelErrors } from "./kernels/control.ts";
import type { ThreadPool } from "./thread-pool.ts";
import type { Weights } from "./weights.ts";

/** What a kernel refused: see `kernelErrors`. */
export interface KernelFault {
  readonly record: number;
  readonly message: string;
}

/**
 * One memory with its weights and threads, and the working memory all graphs share: runs follow one
 * another, so the largest need serves all. It moves when it grows; `epoch` counts the moves.
 */
export class Machine {
  readonly arena: Arena;
  readonly weights: Weights;
  /** Whether every run takes all threads, however long it takes. */
  readonly fixedThreads: boolean;
  readonly #pool: ThreadPool;
  #workspace = { address: 0, bytes: 0 };
  #scratch = { address: 0, stride: 0 };
  #epoch = 0;
  #disposed = false;

  constructor(arena: Arena, weights: Weights, pool: ThreadPool, fixedThreads: boolean) {
    this.arena = arena;
    this.weights = weights;
    this.#pool = pool;
    this.fixedThreads = fixedThreads;
  }

  get threads(): number {
    return this.#pool.threads;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get workspace(): number {
    return this.#workspace.address;
  }

  /** Makes sure of a workspace, and of private scratch memory for every thread. */
  reserve(workspaceBytes: number, scratchBytes: number): void {
    if (workspaceBytes > this.#workspace.bytes) {
      if (this.#workspace.bytes > 0) this.arena.release(this.#workspace.address);
      this.#workspace = { address: 0, bytes: 0 };
      this.#workspace = { address: this.arena.allocate(workspaceBytes), bytes: workspaceBytes };
      this.#epoch++;
    }
    if (scratchBytes > this.#scratch.stride) {
      if (this.#scratch.stride > 0) this.arena.release(this.#scratch.address);
      this.#scratch = { address: 0, stride: 0 };
      const stride = Math.ceil(scratchBytes / 256) * 256;
      this.#scratch = { address: this.arena.allocate(stride * this.#pool.threads), stride };
    }
  }

  /**
   * Executes records on all threads or, with `threads` 1, on the calling one.
   * @returns the first thing a kernel refused, if any.
   * @throws HydrantError `executor/worker`, `executor/disposed`
   */
  run(program: number, end: number, threads: number): KernelFault | undefined {
    if (this.#disposed) {
      throw new HydrantError("executor/disposed", "The weights were disposed of.");
    }
    this.#pool.run(program, end, this.#scratch.address, this.#scratch.stride, threads);
    const words = this.arena.i32(control.error, 3);
    const [code = 0, record = 0, value = 0] = words;
    if (code === 0) return undefined;
    words.fill(0);
    const what = code === kernelErrors.rowOutOfRange ? "row" : "cache slot";
    return { record: record >>> 0, message: `${what} ${value} does not exist` };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#pool.stop();
  }
}
