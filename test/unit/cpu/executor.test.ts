import { afterEach, expect, test } from "vitest";
import { CpuExecutor } from "../../../runtime/cpu/executor.ts";
import type { Session } from "../../../runtime/executor.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { type MemoryWeight, memoryWeights } from "../../helpers/memory-weights.ts";

const executors: CpuExecutor[] = [];
afterEach(async () => {
  await Promise.all(executors.splice(0).map((executor) => executor.dispose()));
});

const table: MemoryWeight = {
  dtype: "bf16",
  shape: [4, 3],
  data: Float32Array.from({ length: 12 }, (_, at) => at),
};

async function open(
  weights: Record<string, MemoryWeight> = { table },
  threads = 1,
): Promise<Session> {
  const executor = await CpuExecutor.create({ threads });
  executors.push(executor);
  return (await executor.load(memoryWeights(weights))).session({ capacity: 6 });
}

/** What a call throws: its code and its one line. */
async function refusal(call: () => unknown): Promise<[string, string]> {
  try {
    await call();
  } catch (error) {
    if (error instanceof HydrantError) return [error.code, error.oneLine];
    throw error;
  }
  return ["none", "nothing was thrown"];
}

function embedRows(): ReturnType<GraphBuilder["finish"]> {
  const b = new GraphBuilder("embed");
  const ids = b.input("ids", tensor("i32", "rows"));
  b.output("out", b.embedding(b.parameter("table", tensor("bf16", 4, 3)), ids, "lookup"));
  return b.finish();
}

test("a graph runs with any number of rows, in any order", async () => {
  const run = (await open()).compile(embedRows());
  for (const rows of [1, 5, 2, 9, 1, 12, 3, 4, 6, 7, 8, 10, 5]) {
    const ids = Int32Array.from({ length: rows }, (_, at) => (at * 3) % 4);
    const { out } = await run.run({ ids }, { rows });
    const want = [...ids].flatMap((id) => [3 * id, 3 * id + 1, 3 * id + 2]);
    expect([...(out ?? [])].map(Number)).toEqual(want);
  }
});

test("weights beyond the memory are refused before any is read", async () => {
  const executor = await CpuExecutor.create({ threads: 1 });
  executors.push(executor);
  const parameters = new Map([["table", { dtype: "f16" as const, shape: [70_000, 100_000] }]]);
  const read = () => Promise.reject(new Error("was read"));
  expect(await refusal(() => executor.load({ parameters, read }))).toEqual([
    "executor/memory",
    expect.stringContaining("13.0 GiB"),
  ]);
});

test("an id out of range names the node, and the session goes on", async () => {
  const run = (await open()).compile(embedRows());
  const [code, line] = await refusal(() => run.run({ ids: Int32Array.of(1, 4) }, { rows: 2 }));
  expect(code).toBe("ir/run");
  expect(line).toBe("embed/lookup: embedding_bf16: row 4 does not exist.");
  const { out } = await run.run({ ids: Int32Array.of(2) }, { rows: 1 });
  expect([...(out ?? [])]).toEqual([6, 7, 8]);
});

test("inputs of a wrong length or kind are refused", async () => {
  const run = (await open()).compile(embedRows());
  expect(await refusal(() => run.run({ ids: Int32Array.of(1) }, { rows: 2 }))).toEqual([
    "executor/input",
    'embed: Input "ids" needs 2 elements, got 1.',
  ]);
  expect(await refusal(() => run.run({}, { rows: 2 }))).toEqual([
    "executor/input",
    'embed: Input "ids" needs 2 elements, got none.',
  ]);
  const [code] = await refusal(() => run.run({ ids: Float32Array.of(1) }, { rows: 1 }));
  expect(code).toBe("executor/input");
});

test("a parameter that is missing or of another type is refused when compiling", async () => {
  const session = await open({ other: table });
  expect(await refusal(() => session.compile(embedRows()))).toEqual([
    "executor/parameter",
    "table: The weights have no such tensor.",
  ]);
  const wrong = await open({ table: { ...table, shape: [3, 4] } });
  expect(await refusal(() => wrong.compile(embedRows()))).toEqual([
    "executor/parameter",
    "table: The tensor is bf16[3, 4], the graph wants bf16[4, 3].",
  ]);
});

test("weights with NaN or infinity are refused with tensor and element", async () => {
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const data = new Float32Array(3000).fill(1);
      data[2222] = bad;
      const [code, line] = await refusal(() =>
        open({ good: table, bad: { dtype, shape: [3000], data } }),
      );
      expect(code).toBe("executor/not-finite");
      expect(line).toMatch(/^bad: The tensor holds (NaN|Infinity) at element 2222\./);
    }
  }
});

test("states start as zeros, are shared by name, and change together", async () => {
  const session = await open();
  const swap = (): ReturnType<GraphBuilder["finish"]> => {
    const b = new GraphBuilder("swap");
    const [x, y] = ["x", "y"].map((name) => b.state(name, tensor("i32", 2)));
    if (x === undefined || y === undefined) throw new Error("no states");
    b.output("before", x);
    b.update("x", b.add(y, b.constant("i32", [1])));
    b.update("y", x);
    return b.finish();
  };
  const [first, second] = [session.compile(swap()), session.compile(swap())];
  expect(session.readState("y")).toEqual(Int32Array.of(0, 0));
  session.writeState("x", Int32Array.of(7, 8));
  expect((await first.run({})).before).toEqual(Int32Array.of(7, 8));
  expect([session.readState("x"), session.readState("y")]).toEqual([
    Int32Array.of(1, 1),
    Int32Array.of(7, 8),
  ]);
  expect((await second.run({})).before).toEqual(Int32Array.of(1, 1));
  expect([session.readState("x"), session.readState("y")]).toEqual([
    Int32Array.of(8, 9),
    Int32Array.of(1, 1),
  ]);
});

test("two states that exchange their values do exchange them", async () => {
  const session = await open();
  const b = new GraphBuilder("exchange");
  const x = b.state("x", tensor("i32", 1));
  const y = b.state("y", tensor("i32", 1));
  b.update("x", y);
  b.update("y", x);
  const run = session.compile(b.finish());
  session.writeState("x", Int32Array.of(1));
  session.writeState("y", Int32Array.of(2));
  await run.run({});
  expect([session.readState("x")[0], session.readState("y")[0]]).toEqual([2, 1]);
});

test("a 16-bit state is written and read as f32, rounded", async () => {
  const session = await open();
  const b = new GraphBuilder("half");
  b.output("out", b.cast(b.state("s", tensor("f16", 3)), "f32"));
  const run = session.compile(b.finish());
  session.writeState("s", Float32Array.of(1, 1 + 2 ** -12, 1e6));
  const want = Float32Array.of(1, 1, Number.POSITIVE_INFINITY);
  expect(session.readState("s")).toEqual(want);
  expect((await run.run({})).out).toEqual(want);
});

test("wrong uses of states are refused", async () => {
  const session = await open();
  const graph = (dtype: "i32" | "f32") => {
    const b = new GraphBuilder("graph");
    b.output("out", b.state("s", tensor(dtype, 2)));
    return b.finish();
  };
  session.compile(graph("i32"));
  expect(await refusal(() => session.compile(graph("f32")))).toEqual([
    "executor/state",
    'State "s" is i32[2], another graph declares f32[2].',
  ]);
  expect((await refusal(() => session.readState("t")))[1]).toBe('There is no state "t".');
  expect((await refusal(() => session.writeState("s", Int32Array.of(1))))[1]).toBe(
    'State "s" has 2 elements, got 1.',
  );
});

test("loading can be aborted, and thread counts are checked", async () => {
  const executor = await CpuExecutor.create();
  const abort = AbortSignal.abort(new Error("enough"));
  await expect(executor.load(memoryWeights({ table }), abort)).rejects.toThrow("enough");
  for (const threads of [0, 1.5, -1, 65, Number.NaN]) {
    expect((await refusal(() => CpuExecutor.create({ threads })))[0]).toBe("executor/threads");
  }
});

test("after disposal a run is an error, not a crash", async () => {
  const executor = await CpuExecutor.create({ threads: 2 });
  const weights = await executor.load(memoryWeights({ table }));
  const run = weights.session({ capacity: 4 }).compile(embedRows());
  await weights.dispose();
  const [code] = await refusal(() => run.run({ ids: Int32Array.of(0) }, { rows: 1 }));
  expect(code).toBe("executor/disposed");
});
