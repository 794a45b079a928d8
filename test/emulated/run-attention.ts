import { type AttentionOp, attention } from "../../kernels/attention/attention.ts";
import { type Allocator, elementsOf, type KernelCall } from "../../kernels/entry.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import type { Target } from "../../src/ir/program.ts";
import { floatsOf, type KernelLab, type LabBuffer, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of q, keys, values and the result. */
  readonly dtype: FloatDType;
  readonly activations?: Target["activations"];
  readonly multiprocessors?: number;
}

/** What a run attends to. Tokens are numbers; a token has one query, key and value wherever it is. */
export interface AttentionRun {
  /** Tokens of the slots before the rows'. */
  readonly prefix: readonly number[];
  /** Tokens of the rows, in slots from prefix.length on. */
  readonly rows: readonly number[];
  /** Parent row of every row (-1: the prefix), for a tree; a chain under the causal mask otherwise. */
  readonly parents?: readonly number[];
  readonly capacity?: number;
  /** Rows of a tree whose words are empty. */
  readonly unseeing?: readonly number[];
}

export const range = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

/** Row and its ancestors, ascending. */
export function pathOf(parents: readonly number[], row: number): number[] {
  const path: number[] = [];
  for (let node = row; node >= 0; node = parents[node] ?? -1) path.unshift(node);
  return path;
}

/** Tokens that row `row` sees, ascending in position, its own last. */
export function seen({ prefix, rows, parents }: AttentionRun, row: number): number[] {
  const own = parents === undefined ? range(row + 1) : pathOf(parents, row);
  return [...prefix, ...own.map((node) => rows[node] ?? -1)];
}

const vectors = new Map<string, Float32Array>();

/** A token's query [heads, headDim], or its key or value [kvHeads, headDim], rounded to the type. */
function vector(shape: AttentionShape, what: "q" | "keys" | "values", token: number): Float32Array {
  const { heads, kvHeads, headDim, dtype } = shape;
  const key = [heads, kvHeads, headDim, dtype, what, token].join();
  const known = vectors.get(key);
  if (known !== undefined) return known;
  const random = new Random(token * 3 + ["q", "keys", "values"].indexOf(what));
  const count = (what === "q" ? heads : kvHeads) * headDim;
  const made = floatsOf(dtype, stored(dtype, random.normals(count, what === "q" ? 2 : 1)));
  vectors.set(key, made);
  return made;
}

const buffers = { q: 0, keys: 1, values: 2, length: 3, words: 4, out: 5, first: 6 };

/** The launches of a run, and the memory that they ask for. */
export function attentionCalls(
  shape: AttentionShape,
  rows: number,
  capacity: number,
  wordsPerRow = 0,
  capability = 80,
): { readonly calls: readonly KernelCall[]; readonly memory: Map<number, LabBuffer> } {
  const memory = new Map<number, LabBuffer>();
  const allocator: Allocator = {
    scratch(bytes) {
      memory.set(buffers.first + memory.size, { bytes });
      return buffers.first + memory.size - 1;
    },
    counters(count) {
      memory.set(buffers.first + memory.size, new Int32Array(count));
      return buffers.first + memory.size - 1;
    },
  };
  const { dtype, activations = "stored", multiprocessors = 132 } = shape;
  const op: AttentionOp = {
    ...shape,
    q: { buffer: buffers.q, dtype },
    keys: { buffer: buffers.keys, dtype },
    values: { buffer: buffers.values, dtype },
    out: { buffer: buffers.out, dtype: "f32" },
    length: elementsOf(buffers.length, "int", "length"),
    mask:
      wordsPerRow === 0
        ? { kind: "causal" }
        : { kind: "tree", words: elementsOf(buffers.words, "u64", "words"), wordsPerRow },
    rows,
    capacity,
    scale: shape.headDim ** -0.5,
    label: "attention",
  };
  const target: Target = {
    capability,
    arch: `sm_${capability}`,
    nvrtcMajor: 11,
    multiprocessors,
    activations,
  };
  return { calls: attention(op, target, allocator), memory };
}

/** Results of a run, f32, a row each. Slots that nobody sees hold NaN. Counters must be zero again. */
export function runAttention(
  lab: KernelLab,
  shape: AttentionShape,
  run: AttentionRun,
): Float32Array[] {
  const { prefix, rows, parents } = run;
  const { heads, kvHeads, headDim, dtype } = shape;
  const capacity = run.capacity ?? prefix.length + rows.length + 3;
  const wordsPerRow = parents === undefined ? 0 : Math.ceil(rows.length / 64);
  const { calls, memory } = attentionCalls(shape, rows.length, capacity, wordsPerRow);
  const rowSize = kvHeads * headDim;
  const cache = (what: "keys" | "values") => {
    const floats = new Float32Array(capacity * rowSize).fill(Number.NaN);
    for (const [slot, token] of [...prefix, ...rows].entries())
      floats.set(vector(shape, what, token), slot * rowSize);
    return stored(dtype, floats);
  };
  const words = new BigUint64Array(rows.length * wordsPerRow);
  for (const row of parents === undefined ? [] : rows.keys()) {
    if (run.unseeing?.includes(row)) continue;
    for (const node of pathOf(parents ?? [], row)) {
      const at = row * wordsPerRow + Math.floor(node / 64);
      words[at] = (words[at] ?? 0n) | (1n << BigInt(node % 64));
    }
  }
  const queries = rows.flatMap((token) => Array.from(vector(shape, "q", token)));
  const after = lab.run(
    calls,
    new Map<number, LabBuffer>([
      ...memory,
      [buffers.q, stored(dtype, queries)],
      [buffers.keys, cache("keys")],
      [buffers.values, cache("values")],
      [buffers.length, Int32Array.of(prefix.length)],
      [buffers.words, words],
      [buffers.out, { bytes: rows.length * heads * headDim * 4 }],
    ]),
  );
  for (const [id, buffer] of memory)
    if (!("bytes" in buffer) && after.get(id)?.some((byte) => byte !== 0))
      throw new Error("the kernel left a counter that is not zero");
  const out = floatsOf("f32", after.get(buffers.out));
  return rows.map((_, row) => out.slice(row * heads * headDim, (row + 1) * heads * headDim));
}

/** Row `row` of a run in f64: plain softmax over all it sees. */
export function referenceRow(shape: AttentionShape, run: AttentionRun, row: number): number[] {
  const { heads, kvHeads, headDim } = shape;
  const tokens = seen(run, row);
  const q = vector(shape, "q", run.rows[row] ?? -1);
  return range(heads).flatMap((head) => {
    const group = Math.floor(head / (heads / kvHeads)) * headDim;
    const scores = tokens.map((token) => {
      const key = vector(shape, "keys", token);
      let dot = 0;
      for (let d = 0; d < headDim; d++) dot += (q[head * headDim + d] ?? 0) * (key[group + d] ?? 0);
      return dot * headDim ** -0.5;
    });
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const sum = new Float64Array(headDim);
    for (const [i, token] of tokens.entries()) {
      const value = vector(shape, "values", token);
      for (let d = 0; d < headDim; d++)
        sum[d] = (sum[d] ?? 0) + ((weights[i] ?? 0) / total) * (value[group + d] ?? 0);
    }
    return Array.from(sum);
  });
}

/** Largest difference to the reference, over all rows or those given. */
export function worstError(
  shape: AttentionShape,
  run: AttentionRun,
  results: readonly Float32Array[],
  rows: readonly number[] = range(run.rows.length),
): number {
  let worst = 0;
  for (const row of rows) {
    const expected = referenceRow(shape, run, row);
    for (const [i, value] of expected.entries()) {
      const difference = Math.abs((results[row]?.[i] ?? Number.NaN) - value);
      worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    }
  }
  return worst;
}

/** Bytes of a stored row, for comparisons to the bit. */
export function bits(row: Float32Array | undefined): string {
  if (row === undefined) throw new Error("there is no such row");
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString("hex");
}

/** A tree of `nodes` nodes up to `depth` deep: mostly long branches, side by side. */
export function randomTree(nodes: number, depth: number, random: Random): number[] {
  const parents = [-1];
  while (parents.length < nodes) {
    const recent = random.next() < 0.7 ? Math.max(0, parents.length - 4) : 0;
    const parent = random.int(recent, parents.length - 1);
    if (pathOf(parents, parent).length < depth) parents.push(parent);
  }
  return parents;
}
