import { Worker } from "node:worker_threads";
import { HydrantError } from "../../src/util/errors.ts";
import { control } from "./kernels/control.ts";
import { kernelModule } from "./kernels/module.ts";

/**
 * Rounds an idle thread watches for the next program before it sleeps: about 50 µs, which bridges the
 * host's work between two parts of a step and between two steps. Falling asleep and waking up take as
 * long.
 */
const idleRounds = 40_000;

/**
 * What a worker thread runs, as plain JavaScript: nothing to resolve or transpile, so it starts in
 * milliseconds and works the same from source, from the built package and inside a bundle.
 */
const workerSource = `
const { parentPort, workerData } = require("node:worker_threads");
const { memory, module, thread, threads, words, idleRounds, failure } = workerData;
const { run, await_command } = new WebAssembly.Instance(module, { env: { memory } }).exports;
const control = new Int32Array(memory.buffer, 0, failure.end / 4);
let seen = 0;
parentPort.postMessage("ready");
try {
  for (;;) {
    seen = await_command(seen, idleRounds);
    if (control[words.stop] || control[words.failed]) break;
    const scratch = control[words.scratch] + thread * control[words.scratchStride];
    if (run(control[words.program], control[words.programEnd], thread, threads, scratch)) break;
  }
} catch (error) {
  // The calling thread may be waiting in a barrier, where no message reaches it.
  const text = new TextEncoder().encode(String(error)).subarray(0, failure.failureCapacity);
  new Uint8Array(memory.buffer).set(text, failure.failureText);
  control[failure.failureLength / 4] = text.length;
  Atomics.store(control, words.failed, 1);
  for (const word of [words.round, words.command]) Atomics.notify(control, word);
  throw error;
}
`;

/** Indices in the Int32Array over the control words. */
const words = {
  stop: control.stop / 4,
  failed: control.failed / 4,
  round: control.round / 4,
  command: control.command / 4,
  program: control.program / 4,
  programEnd: control.programEnd / 4,
  scratch: control.scratch / 4,
  scratchStride: control.scratchStride / 4,
} as const;

/** Compiled once for the process: engines optimise a module's hot functions, for all its instances. */
let compiled: WebAssembly.Module | undefined;

export type KernelExports = Readonly<Record<string, (...args: number[]) => number>>;

/**
 * Threads that execute the same program over one memory, each its own part of every kernel's parallel
 * axis. The calling thread is thread 0; the others sleep between programs.
 */
export class ThreadPool {
  readonly threads: number;
  /** The calling thread's instance of the kernel module. */
  readonly kernels: KernelExports;
  readonly #control: Int32Array;
  readonly #workers: Worker[] = [];
  #failure: Error | undefined;
  #stopped = false;

  private constructor(memory: WebAssembly.Memory, module: WebAssembly.Module, threads: number) {
    this.threads = threads;
    this.kernels = new WebAssembly.Instance(module, { env: { memory } })
      .exports as unknown as KernelExports;
    this.#control = new Int32Array(memory.buffer, 0, control.end / 4);
  }

  /**
   * @param memory shared, its first `control.end` bytes zero.
   * @throws HydrantError `executor/worker` when a thread cannot start.
   */
  static async start(memory: WebAssembly.Memory, threads: number): Promise<ThreadPool> {
    compiled ??= new WebAssembly.Module(kernelModule());
    const module = compiled;
    const pool = new ThreadPool(memory, module, threads);
    const ready: Promise<void>[] = [];
    for (let thread = 1; thread < threads; thread++) {
      const worker = new Worker(workerSource, {
        eval: true,
        workerData: { memory, module, thread, threads, words, idleRounds, failure: control },
        // The parent's loaders and flags are of no use here and cost start-up time.
        execArgv: [],
        name: `hydrant-cpu-${thread}`,
      });
      // An idle pool must not keep the process alive.
      worker.unref();
      pool.#workers.push(worker);
      ready.push(
        new Promise((resolve, reject) => {
          worker.once("message", () => resolve());
          worker.once("error", (error) => {
            pool.#fail(error);
            reject(pool.#broken());
          });
          worker.once("exit", () => {
            if (!pool.#stopped) pool.#fail(new Error(`thread ${thread} ended`));
            reject(pool.#broken());
          });
        }),
      );
    }
    await Promise.all(ready);
    return pool;
  }

  /**
   * Executes the records from `program` to `end` and returns when all threads are done. The last record
   * must be a barrier.
   * @param threads all of them, or 1: the calling thread alone.
   * @param scratch thread t's private memory starts at scratch + t · stride.
   * @throws HydrantError `executor/worker` when a thread has died; the pool is then of no more use.
   */
  run(program: number, end: number, scratch: number, stride: number, threads = this.threads): void {
    if (this.#failure !== undefined || this.#stopped) throw this.#broken();
    if (threads > 1) {
      const shared = this.#control;
      shared[words.program] = program;
      shared[words.programEnd] = end;
      shared[words.scratch] = scratch;
      shared[words.scratchStride] = stride;
      // The atomic write publishes the plain ones before it.
      Atomics.add(shared, words.command, 1);
      if (Atomics.load(shared, control.sleepers / 4) > 0) Atomics.notify(shared, words.command);
    }
    let failed: number | undefined;
    try {
      failed = this.kernels.run?.(program, end, 0, threads, scratch);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    if (failed !== 0) {
      this.#fail(new Error(this.#reportedFailure() ?? "a thread stopped answering"));
      throw this.#broken();
    }
  }

  /** Ends the threads. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    Atomics.store(this.#control, words.stop, 1);
    Atomics.add(this.#control, words.command, 1);
    Atomics.notify(this.#control, words.command);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Notes the first failure and frees whoever waits for the failed thread. */
  #fail(cause: Error): void {
    this.#failure ??= cause;
    Atomics.store(this.#control, words.failed, 1);
    for (const word of [words.round, words.command]) Atomics.notify(this.#control, word);
  }

  /** What the failed thread left in memory. */
  #reportedFailure(): string | undefined {
    const length = Atomics.load(this.#control, control.failureLength / 4);
    if (length === 0) return undefined;
    // Copied first: the decoder takes no shared memory.
    const bytes = new Uint8Array(this.#control.buffer, control.failureText, length).slice();
    return new TextDecoder().decode(bytes);
  }

  #broken(): HydrantError {
    return new HydrantError(
      "executor/worker",
      this.#failure === undefined
        ? "The executor's threads were stopped."
        : `A compute thread failed: ${this.#failure.message}.`,
      { hint: "Load the model again.", cause: this.#failure },
    );
  }
}
