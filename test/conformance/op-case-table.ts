import assert from "node:assert/strict";
import type { Executor, ParameterSource, TensorData, Tensors } from "../../runtime/executor.ts";
import { InterpreterExecutor } from "../../runtime/interpreter-executor.ts";
import { GraphBuilder, type Value } from "../../src/ir/builder.ts";
import { type FloatDType, isFloat } from "../../src/ir/dtype.ts";
import { type Graph, sourcesOf, typeOf } from "../../src/ir/graph.ts";
import type { OpName } from "../../src/ir/op.ts";
import { bindShape, tensor } from "../../src/ir/shape.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { namedTree, prefixTree } from "../../src/speculation/named-trees.ts";
import { randomWeights } from "../helpers/memory-weights.ts";
import { Random } from "../helpers/random.ts";

export interface OpCase {
  readonly op: OpName;
  readonly name: string;
  readonly build: (b: GraphBuilder) => void;
  /** Values of inputs that are no random floats. */
  readonly inputs?: Readonly<Record<string, TensorData>>;
  readonly rows?: number;
  /** Largest difference from the f64 reference, relative to the largest magnitude in the output. */
  readonly tolerance?: number;
}

/** How an executor rounds, where it may. */
export interface Rounding {
  /** `stored`: what meets 16-bit weights or caches in a product is rounded to their type first. */
  readonly activations: "stored" | "f32";
}

const capacity = 96;
const defaultTolerance = 2e-6;
/** Of products whose operands have been rounded to the type, relative to the largest result. */
const productTolerance = { f32: 0, f16: 2e-3, bf16: 1.5e-2 } as const;
const stored: readonly FloatDType[] = ["f32", "f16", "bf16"];

const input = (b: GraphBuilder, name: string, ...shape: (number | string)[]) =>
  b.input(name, tensor("f32", ...shape));
const parameter = (b: GraphBuilder, name: string, dtype: FloatDType, ...shape: number[]) =>
  b.parameter(name, tensor(dtype, ...shape));
const out = (b: GraphBuilder, value: Value) => b.output("out", value);

/** Every op of the catalogue. */
export const opCaseTable: readonly OpCase[] = [
  {
    op: "add",
    name: "same shape",
    rows: 3,
    build: (b) => out(b, b.add(input(b, "x", "rows", 7), input(b, "y", "rows", 7))),
  },
  {
    op: "add",
    name: "a row to every row",
    rows: 5,
    build: (b) => out(b, b.add(input(b, "x", "rows", 8), input(b, "y", 8))),
  },
  {
    op: "add",
    name: "i32 with a scalar",
    rows: 4,
    inputs: { n: Int32Array.of(7) },
    build: (b) => out(b, b.add(b.iota("rows"), b.input("n", tensor("i32", 1)))),
  },
  {
    op: "mul",
    name: "same shape",
    rows: 3,
    build: (b) => out(b, b.mul(input(b, "x", "rows", 33), input(b, "y", "rows", 33))),
  },
  {
    op: "silu",
    name: "wide range",
    rows: 3,
    build: (b) => out(b, b.silu(b.mul(input(b, "x", "rows", 37), b.constant("f32", [40])))),
  },
  ...stored.map(
    (to): OpCase => ({
      op: "cast",
      name: `to ${to} and back`,
      rows: 3,
      tolerance: 0,
      build: (b) => out(b, b.cast(b.cast(input(b, "x", "rows", 19), to), "f32")),
    }),
  ),
  {
    op: "reshape",
    name: "splits heads",
    rows: 2,
    tolerance: 0,
    build: (b) => out(b, b.reshape(input(b, "x", "rows", 12), "rows", 3, 4)),
  },
  {
    op: "concat",
    name: "columns of three",
    rows: 3,
    tolerance: 0,
    build: (b) =>
      out(
        b,
        b.concat([input(b, "x", "rows", 5), input(b, "y", "rows", 1), input(b, "z", "rows", 8)], 1),
      ),
  },
  {
    op: "concat",
    name: "token vectors",
    tolerance: 0,
    inputs: { x: Int32Array.of(4), y: Int32Array.of(7, 8, 9) },
    build: (b) =>
      out(b, b.concat([b.input("x", tensor("i32", 1)), b.input("y", tensor("i32", 3))], 0)),
  },
  {
    op: "gather",
    name: "rows of floats, repeated and out of order",
    tolerance: 0,
    inputs: { at: Int32Array.of(3, 0, 0, 2) },
    build: (b) => out(b, b.gather(input(b, "x", 4, 6), b.input("at", tensor("i32", 4)))),
  },
  {
    op: "gather",
    name: "token ids",
    tolerance: 0,
    inputs: { x: Int32Array.of(10, 20, 30), at: Int32Array.of(2, 0) },
    build: (b) => out(b, b.gather(b.input("x", tensor("i32", 3)), b.input("at", tensor("i32", 2)))),
  },
  ...stored.map(
    (dtype): OpCase => ({
      op: "embedding",
      name: `${dtype} table`,
      tolerance: 0,
      inputs: { ids: Int32Array.of(0, 10, 3, 3) },
      build: (b) =>
        out(b, b.embedding(parameter(b, "table", dtype, 11, 9), b.input("ids", tensor("i32", 4)))),
    }),
  ),
  ...stored.flatMap((dtype) =>
    [
      { rows: 1, depth: 64, outputs: 48 },
      { rows: 1, depth: 100, outputs: 33 },
      { rows: 7, depth: 13, outputs: 5 },
      { rows: 64, depth: 72, outputs: 31 },
    ].map(
      ({ rows, depth, outputs }): OpCase => ({
        op: "linear",
        name: `${dtype} [${rows}, ${depth}] to ${outputs}`,
        rows,
        build: (b) =>
          out(b, b.linear(input(b, "x", "rows", depth), parameter(b, "w", dtype, outputs, depth))),
      }),
    ),
  ),
  ...stored.map(
    (dtype): OpCase => ({
      op: "linear",
      name: `${dtype} with bias`,
      rows: 3,
      build: (b) =>
        out(
          b,
          b.linear(
            input(b, "x", "rows", 40),
            parameter(b, "w", dtype, 17, 40),
            parameter(b, "w.bias", dtype, 17),
          ),
        ),
    }),
  ),
  ...[8, 65, 256].map(
    (width): OpCase => ({
      op: "rms_norm",
      name: `width ${width}`,
      rows: 4,
      build: (b) =>
        out(b, b.rmsNorm(input(b, "x", "rows", width), parameter(b, "w", "bf16", width), 1e-5)),
    }),
  ),
  ...[4, 64, 80].map(
    (width): OpCase => ({
      op: "rope",
      name: `head size ${width}, distant positions`,
      rows: 3,
      // f32 angles: position · frequency carries the rounding of a number near 1e3.
      tolerance: 2e-4,
      inputs: { positions: Int32Array.of(0, 17, 1023) },
      build: (b) =>
        out(
          b,
          b.rope(
            input(b, "x", "rows", 3, width),
            b.input("positions", tensor("i32", "rows")),
            b.constant(
              "f32",
              Array.from({ length: width / 2 }, (_, i) => 10000 ** ((-2 * i) / width)),
            ),
          ),
        ),
    }),
  ),
  ...[
    { heads: 4, groups: 4, width: 16, length: 0, rows: 5 },
    { heads: 4, groups: 2, width: 64, length: 37, rows: 1 },
    { heads: 6, groups: 1, width: 20, length: 70, rows: 9 },
  ].flatMap(({ heads, groups, width, length, rows }) =>
    (["f32", "bf16", "f16"] as const).map(
      (cache): OpCase => ({
        op: "attention",
        name: `causal, ${heads}/${groups} heads of ${width}, ${length} + ${rows} ${cache} slots`,
        rows,
        inputs: { length: Int32Array.of(length) },
        build: (b) => {
          const { keys, values, at } = filledCache(b, cache, groups, width);
          out(
            b,
            b.attention(
              { q: input(b, "q", "rows", heads, width), keys, values, length: at },
              1 / Math.sqrt(width),
            ),
          );
        },
      }),
    ),
  ),
  ...[namedTree("mc_sim_7b_63"), prefixTree("mc_sim_7b_63", 5)].map(
    (tree): OpCase => ({
      op: "attention",
      name: `tree of ${tree.size}`,
      inputs: { length: Int32Array.of(21) },
      build: (b) => {
        const { keys, values, at } = filledCache(b, "f32", 2, 16);
        const mask = b.constantWords(tree.ancestorMask(), [tree.size, 1]);
        out(
          b,
          b.attention({ q: input(b, "q", tree.size, 4, 16), keys, values, length: at, mask }, 0.25),
        );
      },
    }),
  ),
  {
    op: "attention",
    name: "mask of two words, nothing before",
    inputs: { length: Int32Array.of(0) },
    build: (b) => {
      const { keys, values, at } = filledCache(b, "f32", 1, 8);
      const mask = b.constantWords([1n, 0n, 1n | (1n << 63n), 1n << 20n, 0xffn, 3n], [3, 2]);
      out(b, b.attention({ q: input(b, "q", 3, 2, 8), keys, values, length: at, mask }, 0.35));
    },
  },
  ...stored.map(
    (dtype): OpCase => ({
      op: "cache_write",
      name: `into ${dtype}`,
      rows: 3,
      inputs: { at: Int32Array.of(5) },
      tolerance: 0,
      build: (b) => {
        const cache = b.cacheWrite(
          b.state("cache", tensor(dtype, "capacity", 2, 3)),
          input(b, "x", "rows", 2, 3),
          b.input("at", tensor("i32", 1)),
        );
        b.update("cache", cache);
        out(b, b.cast(b.gather(cache, b.constant("i32", [4, 5, 6, 7, 8])), "f32"));
      },
    }),
  ),
  {
    op: "cache_commit",
    name: "moves the accepted rows down",
    inputs: { at: Int32Array.of(10), path: Int32Array.of(0, 3, 7, 0), count: Int32Array.of(3) },
    tolerance: 0,
    build: (b) => {
      const at = b.input("at", tensor("i32", 1));
      const written = b.cacheWrite(
        b.state("cache", tensor("f32", "capacity", 4)),
        input(b, "x", 9, 4),
        at,
      );
      const cache = b.cacheCommit(
        written,
        b.input("path", tensor("i32", 4)),
        b.input("count", tensor("i32", 1)),
        at,
      );
      b.update("cache", cache);
      out(
        b,
        b.gather(
          cache,
          b.constant(
            "i32",
            Array.from({ length: 12 }, (_, i) => 9 + i),
          ),
        ),
      );
    },
  },
  {
    op: "argmax",
    name: "odd width",
    rows: 6,
    build: (b) => out(b, b.argmax(input(b, "x", "rows", 77))),
  },
  {
    op: "argmax",
    name: "ties go to the lower index",
    inputs: { x: Float32Array.of(1, 5, 5, 2, -1, -1, -3, -1) },
    build: (b) => out(b, b.argmax(input(b, "x", 2, 4))),
  },
  ...[1, 10].map(
    (k): OpCase => ({
      op: "topk",
      name: `${k} of 77`,
      rows: 5,
      tolerance: 0,
      build: (b) => {
        const { values, ids } = b.topk(input(b, "x", "rows", 77), k);
        b.output("values", values);
        b.output("ids", ids);
      },
    }),
  ),
  {
    op: "topk",
    name: "ties go to the lower index",
    tolerance: 0,
    inputs: { x: Float32Array.of(3, 9, 3, 9, 9, 0, 3, 1) },
    build: (b) => out(b, b.topk(input(b, "x", 1, 8), 6).ids),
  },
  ...(["accept_match", "accept_typical"] as const).flatMap((op) =>
    [0, 0.7].map(
      (temperature): OpCase => ({
        op,
        name: `temperature ${temperature}`,
        // Logits differ between executors in the last bits; these inputs are the same for both.
        tolerance: 0,
        inputs: {
          tokens: Int32Array.from({ length: 64 }, (_, node) => node % 5),
          length: Int32Array.of(12),
          history: Int32Array.from({ length: capacity }, (_, slot) => slot % 5),
          sampling: Float32Array.of(
            temperature,
            0,
            0.95,
            0,
            op === "accept_match" ? 1.1 : 1,
            0.09,
            0.3,
          ),
          seed: BigUint64Array.of(42n),
        },
        build: (b) => {
          const tree = namedTree("mc_sim_7b_63");
          const { path, count, following } = b.accept(
            op,
            {
              logits: input(b, "logits", tree.size, 5),
              tokens: b.input("tokens", tensor("i32", tree.size)),
              parents: b.constant("i32", Array.from(tree.parents)),
              length: b.input("length", tensor("i32", 1)),
              history: b.input("history", tensor("i32", "capacity")),
              sampling: b.input("sampling", tensor("f32", 7)),
              seed: b.input("seed", tensor("u64", 1)),
            },
            tree.maxDepth + 1,
          );
          b.output("path", path);
          b.output("count", count);
          b.output("following", following);
        },
      }),
    ),
  ),
];

/**
 * Runs a case on an executor and on the reference interpreter.
 * @throws AssertionError where they differ by more than the case allows.
 */
export async function checkOpCase(
  opCase: OpCase,
  executor: Executor,
  rounding: Rounding = { activations: "f32" },
): Promise<void> {
  const b = new GraphBuilder("case");
  opCase.build(b);
  const graph = b.finish();
  verifyGraph(graph);
  const source = randomWeights([graph], new Random(1));
  const inputs = inputsFor(graph, opCase);
  const expected = await runOnce(new InterpreterExecutor(), graph, source, inputs, opCase);
  const actual = await runOnce(executor, graph, source, inputs, opCase);
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  const tolerance = toleranceOf(opCase, graph, rounding);
  for (const [name, want] of Object.entries(expected))
    compare(`${opCase.op}/${name}`, actual[name], want, tolerance);
}

function toleranceOf(
  { op, tolerance = defaultTolerance }: OpCase,
  graph: Graph,
  { activations }: Rounding,
): number {
  if (activations === "f32" || (op !== "linear" && op !== "attention")) return tolerance;
  const types = graph.sources.map(({ value }) => typeOf(graph, value).dtype);
  return Math.max(
    tolerance,
    ...types.map((dtype) => (isFloat(dtype) ? productTolerance[dtype] : 0)),
  );
}

/** Keys and values written into every slot, and the `length` input. */
function filledCache(b: GraphBuilder, dtype: FloatDType, groups: number, width: number) {
  const zero = b.constant("i32", [0]);
  const fill = (name: string) => {
    const cache = b.cacheWrite(
      b.state(name, tensor(dtype, "capacity", groups, width)),
      input(b, `${name}.rows`, "capacity", groups, width),
      zero,
    );
    b.update(name, cache);
    return cache;
  };
  return { keys: fill("keys"), values: fill("values"), at: b.input("length", tensor("i32", 1)) };
}

function inputsFor(graph: Graph, { inputs = {}, rows = 0 }: OpCase): Tensors {
  const random = new Random(2);
  return Object.fromEntries(
    sourcesOf(graph, "input").map(({ name, value }) => {
      const shape = bindShape(typeOf(graph, value).shape, { rows, capacity });
      return [
        name,
        inputs[name] ?? random.normals(shape.reduce((product, dim) => product * dim, 1)),
      ];
    }),
  );
}

async function runOnce(
  executor: Executor,
  graph: Graph,
  source: ParameterSource,
  inputs: Tensors,
  { rows }: OpCase,
): Promise<Tensors> {
  const weights = await executor.load(source);
  const session = weights.session({ capacity });
  const executable = session.compile(graph);
  const outputs = await executable.run(inputs, rows === undefined ? {} : { rows });
  const copies = Object.fromEntries(
    Object.entries(outputs).map(([name, data]) => [name, data.slice()]),
  );
  executable.dispose();
  session.dispose();
  await weights.dispose();
  return copies;
}

function compare(
  what: string,
  actual: TensorData | undefined,
  expected: TensorData,
  tolerance: number,
): void {
  assert.equal(actual?.length, expected.length, what);
  if (!(expected instanceof Float32Array) || !(actual instanceof Float32Array)) {
    assert.deepEqual(actual, expected, what);
    return;
  }
  const scale = expected.reduce((largest, item) => Math.max(largest, Math.abs(item)), 0);
  const worst = expected.reduce((largest, item, i) => {
    const difference = Math.abs(item - (actual[i] ?? Number.NaN));
    return difference <= largest ? largest : difference; // NaN is worse than any number.
  }, 0);
  assert.ok(
    worst <= tolerance * scale,
    `${what}: the largest difference is ${worst}, ${tolerance * scale} is allowed`,
  );
}
