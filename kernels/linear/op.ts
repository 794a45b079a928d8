import type { FloatDType } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import type { Elements, KernelEntry } from "../entry.ts";

/** A buffer and the type of its elements. */
export interface Operand {
  readonly buffer: BufferId;
  readonly dtype: FloatDType;
}

export interface LinearWeight extends Operand {
  readonly outputs: number;
  /** [outputs], any float type; added to the accumulator. */
  readonly bias?: Operand | undefined;
}

/**
 * y = epilogue(x · Wᵀ) of one or several weights over the same x. 16-bit x goes through tensor cores
 * and needs weights of its type; f32 x goes through CUDA cores and takes weights of any type.
 */
export interface LinearOp {
  /** [rows, inputs], row-major. */
  readonly x: Operand;
  readonly inputs: number;
  readonly rows: number;
  /** [outputs, inputs] each, in the layout `weightLayout` gives them; all of one type. */
  readonly weights: readonly LinearWeight[];
  /**
   * Accumulators (before the bias) are multiplied by rsqrt(sum / width + eps), `sum` being the sum
   * of the row's `parts` f32 values sums[row][part], added in an order that depends on `parts` only.
   */
  readonly rowScale?:
    | {
        readonly sums: BufferId;
        readonly parts: number;
        readonly width: number;
        readonly eps: number;
      }
    | undefined;
  readonly epilogue: LinearEpilogue;
  readonly label: string;
}

export type LinearEpilogue = ElementwiseEpilogue | RopeCacheEpilogue | TopkEpilogue;

/** Weights of equal `outputs`: the same output of each is at hand together. */
export interface ElementwiseEpilogue {
  readonly kind: "elementwise";
  /** For the kernel's name: "residual", "silu_mul". */
  readonly name: string;
  /**
   * C++ statements that store the result of one output. They see `row`, `column` (int) and a float
   * for each weight, its accumulator plus bias.
   */
  readonly statements: (
    entry: KernelEntry,
    at: { readonly row: string; readonly column: string; readonly values: readonly string[] },
  ) => string;
  /**
   * f32[rows, tileCount]: per row and tile the sum of `value`², a float in scope after the
   * statements, in a fixed order.
   */
  readonly squares?: { readonly buffer: BufferId; readonly value: string } | undefined;
  /** What the statements read and write. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/**
 * Weights are any of q, k and v, one after another along the outputs. q and k are rotated (the
 * half-rotation of op.ts `rope`); q is stored, k and v go into caches [slot][kvHead][headDim] at slot
 * start + row, rounded to the cache's type.
 */
export interface RopeCacheEpilogue {
  readonly kind: "rope-cache";
  readonly headDim: number;
  /** One for each weight. */
  readonly roles: readonly ("q" | "k" | "v")[];
  /** i32[rows] */
  readonly positions: Elements;
  /** f32[headDim / 2] */
  readonly inverseFrequencies: BufferId;
  /** i32[1], the cache slot of row 0; needed with k or v. */
  readonly start?: Elements | undefined;
  /** [rows, heads * headDim] */
  readonly q?: Operand | undefined;
  readonly keys?: Operand | undefined;
  readonly values?: Operand | undefined;
}

/**
 * Of one weight: per tile and row the k best (value, id), descending, ties by lower id, into
 * [rows][tileCount][k] of f32 and i32; missing places are (-inf, 0x7fffffff).
 */
export interface TopkEpilogue {
  readonly kind: "topk";
  readonly k: number;
  readonly partialValues: BufferId;
  readonly partialIds: BufferId;
  /** f32[rows, outputs], stored where the C++ bool expression `when` holds (always without it). */
  readonly logits?:
    | {
        readonly buffer: BufferId;
        readonly when?: ((entry: KernelEntry) => string) | undefined;
      }
    | undefined;
}

/** What decides how a layer is cut into tiles of outputs. */
export interface LinearShape extends Pick<LinearOp, "x" | "inputs" | "weights"> {
  readonly epilogue: {
    readonly kind: LinearEpilogue["kind"];
    readonly headDim?: number | undefined;
  };
}
