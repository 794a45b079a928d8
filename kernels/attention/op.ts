import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { BufferId, Traffic } from "../../src/ir/program.ts";
import type { Allocator, Elements, KernelEntry } from "../entry.ts";

/** A buffer and the type of its elements. */
export interface AttentionOperand {
  readonly buffer: BufferId;
  readonly dtype: FloatDType;
}

/** Grouped-query attention over a cache (src/ir/op.ts `attention`). */
export interface AttentionOp {
  /** [rows, heads, headDim]. */
  readonly q: AttentionOperand;
  /** [capacity, kvHeads, headDim], the rows' own keys included. */
  readonly keys: AttentionOperand;
  /** [capacity, kvHeads, headDim]. */
  readonly values: AttentionOperand;
  /** i32[1]: slots before the first row's, read on the device. */
  readonly length: Elements;
  readonly mask: AttentionMask;
  readonly rows: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Elements of a head. */
  readonly headDim: number;
  /** Slots of the caches. */
  readonly capacity: number;
  /** Of the scores; applied to them in f32. */
  readonly scale: number;
  /** [rows, heads · headDim], rounded to its type. */
  readonly out: AttentionOperand;
  readonly label: string;
}

export type AttentionMask =
  /** Row i sees slots 0 … length + i. */
  | { readonly kind: "causal" }
  /**
   * Row i sees slots 0 … length - 1 and length + j for every bit j of its words, itself and its
   * ancestors: no more than `maxTreeDepth` of them. `words` are u64, row · wordsPerRow + word.
   */
  | { readonly kind: "tree"; readonly words: Elements; readonly wordsPerRow: number };

/** The C++ expression of the mask; registers what it reads. */
export function maskText(op: AttentionOp, entry: KernelEntry): string {
  const length = op.length(entry)("0");
  switch (op.mask.kind) {
    case "causal":
      return `CausalMask{${length}}`;
    case "tree": {
      const word = op.mask.words(entry)("index");
      return `tree_mask<${op.mask.wordsPerRow}>(${length}, [&](int index) -> u64 { return ${word}; })`;
    }
    default:
      return op.mask satisfies never;
  }
}

/** `causal`, `tree64`: what a kernel's name says of the mask. */
export function maskName(op: AttentionOp): string {
  return op.mask.kind === "causal" ? "causal" : `tree${64 * op.mask.wordsPerRow}`;
}

/** Of all rows, with the cache full. */
export function attentionTraffic(op: AttentionOp): Traffic {
  const queries = op.rows * op.heads * op.headDim;
  const cached = op.capacity * op.kvHeads * op.headDim;
  return {
    weightBytes: 0,
    readBytes:
      queries * byteSize(op.q.dtype) +
      cached * (byteSize(op.keys.dtype) + byteSize(op.values.dtype)) +
      (op.mask.kind === "tree" ? op.rows * op.mask.wordsPerRow * 8 : 0),
    writtenBytes: queries * byteSize(op.out.dtype),
    flops: 4 * queries * op.capacity,
  };
}

/** Scratch for partial results and the counters of who has written them; returns parameter names. */
export function partialBuffers(
  entry: KernelEntry,
  memory: Allocator,
  of: {
    readonly partials: number;
    readonly queries: number;
    readonly headDim: number;
    readonly counters: number;
  },
): string[] {
  const results = of.partials * of.queries;
  const accumulators = memory.scratch(results * of.headDim * 4, "attention accumulators");
  const sums = memory.scratch(results * 8, "attention sums");
  const counters = memory.counters(of.counters, "attention counters");
  return [
    entry.buffer("accumulators", accumulators, "float", "update"),
    entry.buffer("sums", sums, "float", "update"),
    entry.buffer("counters", counters, "int", "update"),
  ];
}
