import { availableParallelism } from "node:os";
import { HydrantError } from "../../src/util/errors.ts";
import type { Executor, LoadedWeights, ParameterSource } from "../executor.ts";
import { Arena } from "./arena.ts";
import { Machine } from "./machine.ts";
import { CpuSession } from "./session.ts";
import { ThreadPool } from "./thread-pool.ts";
import { weightBytes, Weights } from "./weights.ts";

export interface CpuOptions {
  /**
   * Threads to compute with, the calling one included. By default as many as the model's size is worth,
   * and for each kind of run all of these or one, whichever proves faster.
   */
  readonly threads?: number | undefined;
}

/** Weights one more thread pays for: below, threads wait for each other longer than they work. */
const bytesPerThread = 4 << 20;
const mostThreads = 64;

/**
 * Runs graphs on the processor: SIMD kernels in WebAssembly over shared memory, split among threads.
 * Weights keep their stored type, arithmetic is f32. A row's results do not depend on how many rows
 * run with it, nor on the number of threads.
 */
export class CpuExecutor implements Executor {
  readonly device = "cpu";
  readonly #threads: number | undefined;
  readonly #loaded = new Set<LoadedWeights>();

  /** @throws HydrantError `executor/threads` for a count that is no integer from 1 to 64. */
  constructor({ threads }: CpuOptions = {}) {
    if (
      threads !== undefined &&
      !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)
    ) {
      throw new HydrantError("executor/threads", `Cannot compute with ${threads} threads.`, {
        hint: `Give a number from 1 to ${mostThreads}.`,
      });
    }
    this.#threads = threads;
  }

  static async create(options: CpuOptions = {}): Promise<CpuExecutor> {
    return new CpuExecutor(options);
  }

  async load(source: ParameterSource, signal?: AbortSignal): Promise<LoadedWeights> {
    const arena = new Arena();
    const pool = await ThreadPool.start(arena.memory, this.#threads ?? threadsFor(source));
    let weights: Weights;
    try {
      weights = await Weights.load(source, arena, pool.kernels, signal);
    } catch (error) {
      await pool.stop();
      throw error;
    }
    const machine = new Machine(arena, weights, pool, this.#threads !== undefined);
    const loaded: LoadedWeights = {
      byteLength: weights.byteLength,
      session: (dims) => new CpuSession(machine, { capacity: dims.capacity }),
      dispose: async () => {
        this.#loaded.delete(loaded);
        await machine.dispose();
      },
    };
    this.#loaded.add(loaded);
    return loaded;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#loaded].map((loaded) => loaded.dispose()));
  }
}

function threadsFor(source: ParameterSource): number {
  const wanted = 1 + Math.floor(weightBytes(source) / bytesPerThread);
  return Math.min(availableParallelism(), mostThreads, wanted);
}
