import { afterEach, expect, test } from "vitest";
import { Arena } from "../../../runtime/cpu/arena.ts";
import { control } from "../../../runtime/cpu/kernels/control.ts";
import { recordHeader } from "../../../runtime/cpu/kernels/kernel.ts";
import { barrierSlot, kernelNames } from "../../../runtime/cpu/kernels/module.ts";
import { ThreadPool } from "../../../runtime/cpu/thread-pool.ts";

const pools: ThreadPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

async function start(threads: number): Promise<{ pool: ThreadPool; arena: Arena }> {
  const arena = new Arena();
  const pool = await ThreadPool.start(arena.memory, threads);
  pools.push(pool);
  return { pool, arena };
}

/** y += 1 over `columns` integers, then a barrier, as often as told. */
function additions(y: number, one: number, columns: number, times: number): Int32Array {
  const parameters = [y, one, y, 1, columns, 0, 1];
  const call = [
    kernelNames.indexOf("add_i32"),
    recordHeader.params + 4 * parameters.length,
    columns,
    1,
    ...parameters,
  ];
  return Int32Array.from(Array.from({ length: times }, () => [...call, barrierSlot, 8]).flat());
}

test.each([1, 2, 3, 5])(
  "%i threads share every kernel's work and wait for each other",
  async (threads) => {
    const { pool, arena } = await start(threads);
    const columns = 101;
    const y = arena.allocate(4 * columns);
    const one = arena.allocate(4);
    arena.i32(one, 1)[0] = 1;
    const words = additions(y, one, columns, 50);
    const program = arena.allocate(words.byteLength);
    arena.i32(program, words.length).set(words);
    for (let round = 1; round <= 20; round++) {
      pool.run(program, program + words.byteLength, 0, 0);
      expect(new Set(arena.i32(y, columns))).toEqual(new Set([50 * round]));
    }
  },
);

test("a program's memory may be overwritten as soon as the run is over", async () => {
  const { pool, arena } = await start(3);
  const y = arena.allocate(64);
  const one = arena.allocate(4);
  arena.i32(one, 1)[0] = 1;
  const words = additions(y, one, 16, 2);
  const program = arena.allocate(words.byteLength);
  const view = arena.i32(program, words.length);
  for (let round = 1; round <= 3000; round++) {
    view.set(words);
    pool.run(program, program + words.byteLength, 0, 0);
    view.fill(0);
    expect(arena.i32(y, 1)[0]).toBe(2 * round);
  }
});

test("idle threads wake up for a program that comes late", async () => {
  const { pool, arena } = await start(2);
  const y = arena.allocate(64);
  const one = arena.allocate(4);
  arena.i32(one, 1)[0] = 1;
  const words = additions(y, one, 16, 1);
  const program = arena.allocate(words.byteLength);
  arena.i32(program, words.length).set(words);
  for (let round = 1; round <= 3; round++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    // Asleep, not watching: counted as a sleeper.
    expect(Atomics.load(arena.i32(control.sleepers, 1), 0)).toBe(1);
    pool.run(program, program + words.byteLength, 0, 0);
    expect(arena.i32(y, 16)[15]).toBe(round);
  }
});

test("memory that grows while threads sleep is theirs too", async () => {
  const { pool, arena } = await start(2);
  const one = arena.allocate(4);
  arena.i32(one, 1)[0] = 1;
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const y = arena.allocate(40 << 20);
    const columns = (40 << 20) / 4;
    const words = additions(y, one, columns, 1);
    const program = arena.allocate(words.byteLength);
    arena.i32(program, words.length).set(words);
    pool.run(program, program + words.byteLength, 0, 0);
    expect(arena.i32(y, columns)[columns - 1]).toBe(1);
  }
});

test("a thread that dies is an error, at once and from then on, not a hang", async () => {
  const { pool, arena } = await start(3);
  // An empty table slot: every thread that executes the record traps.
  const words = Int32Array.from([9999, 16, 100, 1, barrierSlot, 8]);
  const program = arena.allocate(words.byteLength);
  arena.i32(program, words.length).set(words);
  const run = () => pool.run(program, program + words.byteLength, 0, 0);
  expect(run).toThrow(/A compute thread failed: .*(table|index)/);
  expect(run).toThrow("A compute thread failed");
});

test("a worker's own failure is told by its message while the caller waits in a barrier", async () => {
  const { pool, arena } = await start(2);
  // Thread 1 alone gets columns outside of memory; thread 0 gets none and waits.
  const parameters = [0xffff0000, 0xffff0000, 0xffff0000, 1, 1 << 20, 0, 0];
  const call = [kernelNames.indexOf("add_i32"), recordHeader.params + 28, 1, 1, ...parameters];
  const words = Int32Array.from([...call, barrierSlot, 8]);
  const program = arena.allocate(words.byteLength);
  arena.i32(program, words.length).set(words);
  expect(() => pool.run(program, program + words.byteLength, 0, 0)).toThrow(
    /A compute thread failed: RuntimeError: memory access out of bounds/,
  );
});

test("a stopped pool refuses to run, and stopping twice is fine", async () => {
  const { pool } = await start(2);
  await pool.stop();
  await pool.stop();
  expect(() => pool.run(0, 0, 0, 0)).toThrow("threads were stopped");
});
