import type { DType } from "./dtype.ts";
import type { Dim, Shape } from "./shape.ts";

/**
 * The op catalogue: every operation a graph may hold, with its operands, attributes and meaning.
 * Type rules are in `infer.ts`; the executable definition of each op is the reference interpreter.
 *
 * Notation: T rows of one run, V vocabulary, D hidden size, S cache slots, W words of 64 nodes.
 * All arithmetic on float tensors is f32 unless stated; a weight operand may be f32, f16 or bf16.
 */
export interface OpAttributes {
  /** A literal. `data` in row-major order; u64 words as decimal strings. */
  constant: { readonly data: readonly number[] | readonly string[] };
  /** `0, 1, … size-1` as i32[size]. */
  iota: { readonly size: Dim };

  /** a + b. b has a's shape, or a trailing part of it, or is [1]. f32 or i32. */
  add: NoAttributes;
  /** a · b, shapes as in `add`. f32. */
  mul: NoAttributes;
  /** x · sigmoid(x). */
  silu: NoAttributes;
  /** The same numbers in another float type, rounded to nearest even. */
  cast: { readonly to: DType };
  /** The same elements under another shape. */
  reshape: { readonly shape: Shape };
  /** Operands one after the other along `axis`. */
  concat: { readonly axis: number };
  /** Rows of x[R, …] by index i32[n] → [n, …]. */
  gather: NoAttributes;

  /** Rows of a weight table[V, D] by id i32[T], widened to f32[T, D]. */
  embedding: NoAttributes;
  /** x[T, K] · w[N, K]ᵀ (+ bias[N]) → f32[T, N]. x is f32, or rounded to w's type before. */
  linear: NoAttributes;
  /** x / sqrt(mean(x²) + eps) · w over the last axis. */
  rms_norm: { readonly eps: number };
  /**
   * Rotary embedding in the half-rotation form: pairs (i, i + d/2) of x[T, H, d] turn by
   * position · inv_freq[i]. Operands: x, positions i32[T], inv_freq f32[d/2].
   */
  rope: NoAttributes;

  /**
   * Grouped-query attention over a cache. Operands: q[T, H, d], keys[S, G, d], values[S, G, d],
   * length i32[1], and for mask = "tree" the words u64[T, W]. q is f32, or rounded to the cache's
   * type before; the result is f32. Row i sees slots 0 … length-1 and
   *   causal: also slots length … length+i;
   *   tree:   also slot length+j for every set bit j of its words.
   * Keys are visited in ascending slot order. H is a multiple of G; head h reads group h·G/H.
   */
  attention: { readonly scale: number; readonly mask: "causal" | "tree" };
  /** cache[S, …] with rows x[n, …] stored from slot start i32[1] on, rounded to the cache's type. */
  cache_write: NoAttributes;
  /**
   * The accepted rows moved down: slot length+i takes what slot length+path[i] held, i < count.
   * Operands: cache[S, …], path i32[P], count i32[1], length i32[1].
   */
  cache_commit: NoAttributes;

  /** Index of the largest of each row of x[T, V]; the lowest index on ties. */
  argmax: NoAttributes;
  /** The k largest of each row, descending, ties by lower index: values f32[T, k], ids i32[T, k]. */
  topk: { readonly k: number };

  /**
   * Walks a token tree by draws from the base model (greedy at temperature 0, sample-and-match
   * above). Operands: logits f32[T, V], tokens i32[T], parents i32[T] (root -1), length i32[1] (the
   * root's position), history i32[S] (token of every slot), sampling f32[7], seed u64[1].
   * Results, P = `pathLength`: path i32[P] (accepted nodes, root first, then zeros), count i32[1]
   * (accepted nodes, root included), following i32[P] (the token after each accepted node; the last
   * of them is the next step's root; then zeros).
   */
  accept_match: { readonly pathLength: number };
  /** As `accept_match` with the typical-acceptance rule of Medusa and Hydra (lossy). */
  accept_typical: { readonly pathLength: number };
}

export type NoAttributes = Readonly<Record<never, never>>;
export type OpName = keyof OpAttributes;

/** Order of the numbers in the `sampling` operand of the accept ops. */
export const samplingFields = [
  "temperature",
  "topK",
  "topP",
  "minP",
  "repetitionPenalty",
  "posteriorThreshold",
  "posteriorAlpha",
] as const;

/** How many operands an op takes: exactly, or between two bounds. */
export const operandCounts: { readonly [K in OpName]: readonly [min: number, max: number] } = {
  constant: [0, 0],
  iota: [0, 0],
  add: [2, 2],
  mul: [2, 2],
  silu: [1, 1],
  cast: [1, 1],
  reshape: [1, 1],
  concat: [1, Number.POSITIVE_INFINITY],
  gather: [2, 2],
  embedding: [2, 2],
  linear: [2, 3],
  rms_norm: [2, 2],
  rope: [3, 3],
  attention: [4, 5],
  cache_write: [3, 3],
  cache_commit: [4, 4],
  argmax: [1, 1],
  topk: [1, 1],
  accept_match: [7, 7],
  accept_typical: [7, 7],
};

export const opNames = Object.keys(operandCounts) as readonly OpName[];

export function isOpName(text: string): text is OpName {
  return Object.hasOwn(operandCounts, text);
}

/** Ops whose first result is their first operand changed in place: the operand must not be used again. */
export function writesFirstOperand(op: OpName): boolean {
  return op === "cache_write" || op === "cache_commit";
}
