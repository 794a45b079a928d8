import { dtypes, type FloatDType, isFloat } from "../../../src/ir/dtype.ts";
import {
  atomic32,
  atomicNotify,
  call,
  type FunctionBuilder,
  i32,
  type Local,
  ModuleBuilder,
} from "../../wasm/wasm.ts";
import { attention } from "./attention.ts";
import { cacheCommit, cacheCopy, cacheWrite, cast, copyRuns, embedding, gather } from "./cache.ts";
import { addCheckFinite } from "./check-finite.ts";
import { control } from "./control.ts";
import { add, addInt, mul, siluKernel, siluMul } from "./elementwise.ts";
import {
  addKernel,
  addTrampoline,
  type Kernel,
  type KernelArguments,
  recordHeader,
} from "./kernel.ts";
import { linear } from "./linear.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rope, ropeTable } from "./rope.ts";
import { argmax, topk } from "./select.ts";

/** Every kernel by name. A record names a kernel by its position here. */
export const kernels = {
  linear_f32: linear("f32"),
  linear_f16: linear("f16"),
  linear_bf16: linear("bf16"),
  add,
  add_i32: addInt,
  mul,
  silu: siluKernel,
  silu_mul: siluMul,
  rms_norm: rmsNorm,
  rope_table: ropeTable,
  rope,
  attention_f32: attention("f32"),
  attention_f16: attention("f16"),
  attention_bf16: attention("bf16"),
  cast_f32_f16: cast("f32", "f16"),
  cast_f32_bf16: cast("f32", "bf16"),
  cast_f16_f32: cast("f16", "f32"),
  cast_f16_bf16: cast("f16", "bf16"),
  cast_bf16_f32: cast("bf16", "f32"),
  cast_bf16_f16: cast("bf16", "f16"),
  cache_write_f16: cacheWrite("f16"),
  cache_write_bf16: cacheWrite("bf16"),
  cache_copy: cacheCopy,
  cache_commit: cacheCommit,
  gather,
  embedding_f32: embedding("f32"),
  embedding_f16: embedding("f16"),
  embedding_bf16: embedding("bf16"),
  copy_runs: copyRuns,
  argmax,
  topk,
} as const;

export type KernelName = keyof typeof kernels;
export type ArgumentsOf<K extends KernelName> = KernelArguments<(typeof kernels)[K]["params"]>;

export const kernelNames = Object.keys(kernels) as readonly KernelName[];

/** In place of a table slot: all threads wait for each other. The record is its two header words. */
export const barrierSlot = -1;

/** Rounds a thread watches the others before it goes to sleep: about 10 µs. */
const spinRounds = 8_000;
/** A thread that waits longer than this gives the program up: another one died. */
const patienceNanoseconds = 60_000_000_000n;

/** Size limits of the memory the module imports, in 64 KiB pages. */
export const memoryLimits = { initial: 1, maximum: 65_536, shared: true } as const;

/**
 * The module with every kernel, over an imported shared memory `env.memory`. Besides the kernels it
 * exports
 * - `run(program, end, thread, threads, scratch) → i32`: executes the records of a program, this
 *   thread's part of each; 0, or 1 when another thread failed;
 * - `await_command(seen, rounds) → i32`: watches, then sleeps, until the command count differs; gives it;
 * - `check_finite_{dtype}` (see `addCheckFinite`).
 */
export function kernelModule(): Uint8Array {
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", memoryLimits);
  const currentRecord = m.global("i32", 0);
  const context = { currentRecord };
  for (const [name, definition] of Object.entries<Kernel>(kernels)) {
    const target = addKernel(m, name, definition, context);
    m.tableSlot(addTrampoline(m, name, definition, target));
  }
  for (const dtype of dtypes) if (isFloat(dtype)) addCheckFinite(m, dtype satisfies FloatDType);

  const barrier = m.func("barrier", ["i32"], ["i32"]);
  buildBarrier(barrier);

  const run = m.func("run", ["i32", "i32", "i32", "i32", "i32"], ["i32"]);
  const [record, end, thread, threads, scratch] = [0, 1, 2, 3, 4].map((at) =>
    run.param("i32", at),
  ) as [Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">];
  run.while(i32.ltU(record, end), () => {
    const slot = run.let(i32.load(record));
    // Read now: past the last barrier the program's memory is the calling thread's again.
    const next = run.let(i32.add(record, i32.load(record, recordHeader.size)));
    run.if(
      i32.eq(slot, barrierSlot),
      () => {
        run.if(i32.gtU(threads, 1), () =>
          run.if(call("i32", barrier, threads), () => run.return(1)),
        );
      },
      () => {
        run.set(currentRecord, record);
        run.do(
          m.callIndirectVoid(["i32", "i32", "i32", "i32"], slot, record, thread, threads, scratch),
        );
      },
    );
    run.set(record, next);
  });
  run.result(0);

  buildAwaitCommand(m.func("await_command", ["i32", "i32"], ["i32"]));
  return m.encode();
}

/** barrier(threads) → 0 when all have come, 1 when one has failed. */
function buildBarrier(f: FunctionBuilder): void {
  const threads = f.param("i32", 0);
  const round = f.let(atomic32.load(control.round));
  const arrived = atomic32.add(control.arrived, 1);
  f.if(
    i32.eq(arrived, i32.sub(threads, 1)),
    () => {
      f.do(atomic32.store(control.arrived, 0));
      f.drop(atomic32.add(control.round, 1));
      wake(f, control.round);
    },
    () => waitForChange(f, control.round, round, i32.const(spinRounds), patienceNanoseconds),
  );
  f.result(atomic32.load(control.failed));
}

function buildAwaitCommand(f: FunctionBuilder): void {
  const seen = f.param("i32", 0);
  waitForChange(f, control.command, seen, f.param("i32", 1), -1n);
  f.result(atomic32.load(control.command));
}

/** Wakes the sleepers on a word; the call is made only when there are any. */
function wake(f: FunctionBuilder, address: number): void {
  f.if(atomic32.load(control.sleepers), () => f.drop(atomicNotify(address, -1)));
}

/**
 * Watches a word until it differs from `old`, a thread fails, or patience ends (which counts as a
 * failure). Threads of a step come within microseconds of each other, far less than falling asleep and
 * waking take, so a waiter watches for a while first.
 */
function waitForChange(
  f: FunctionBuilder,
  address: number,
  old: Local<"i32">,
  rounds: Local<"i32"> | ReturnType<typeof i32.const>,
  patience: bigint,
): void {
  const left = f.let(rounds);
  f.block((done) => {
    f.loop((watch) => {
      f.brIf(done, i32.ne(atomic32.load(address), old));
      f.brIf(done, atomic32.load(control.failed));
      f.increment(left, -1);
      f.brIf(watch, i32.gtS(left, 0));
    });
    // Counted before the last look (the wait's own): a waker either sees the sleeper or is seen.
    f.drop(atomic32.add(control.sleepers, 1));
    f.loop((sleep) => {
      const outcome = f.let(atomic32.wait(address, old, patience));
      f.if(i32.eq(outcome, 2), () => f.do(atomic32.store(control.failed, 1)));
      f.brIf(
        sleep,
        i32.and(i32.eq(atomic32.load(address), old), i32.eqz(atomic32.load(control.failed))),
      );
    });
    f.drop(atomic32.sub(control.sleepers, 1));
  });
}
