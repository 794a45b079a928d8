import type { DType } from "../../../src/ir/dtype.ts";
import type { Node } from "../../../src/ir/graph.ts";
import type { Shape, TensorType } from "../../../src/ir/shape.ts";
import type { KernelName } from "../kernels/module.ts";

export type StorageId = number;

/** Where a value's bytes are. Several values may share one storage (views, in-place changes). */
export type Storage =
  | { readonly kind: "parameter"; readonly name: string; readonly dtype: DType }
  | { readonly kind: "input" | "state"; readonly name: string; readonly type: TensorType }
  | { readonly kind: "temporary"; readonly type: TensorType }
  | {
      readonly kind: "constant";
      readonly type: TensorType;
      readonly fill: (views: Views, size: Size) => void;
    };

/** The zeroed elements of a constant, through whichever view its type needs. */
export interface Views {
  readonly f32: Float32Array;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
}

/** Number of elements of a shape, symbols replaced by their values. */
export type Size = (shape: Shape) => number;

/** What encoding a kernel call may ask for. */
export interface Layout {
  readonly address: (storage: StorageId) => number;
  readonly size: Size;
}

/** One call of a kernel, on all threads. */
export interface KernelStep {
  readonly kind: "kernel";
  readonly kernel: KernelName;
  readonly reads: readonly StorageId[];
  /** A storage read as well is changed in place. */
  readonly writes: readonly StorageId[];
  readonly label: string;
  readonly encode: (layout: Layout) => EncodedCall;
  /** Width, when the parallel axis is the columns of matrices that are all this wide. */
  readonly columns?: number | undefined;
  /** Key-value heads, when the axis may be split between the groups of heads they serve. */
  readonly groups?: number | undefined;
  readonly scratchBytes?: ((size: Size) => number) | undefined;
}

export interface EncodedCall {
  readonly args: Readonly<Record<string, number>>;
  /** Extent of the parallel axis. */
  readonly extent: number;
  /** Parts of the axis begin at multiples of this. */
  readonly granule: number;
}

/** A walk over a token tree, done by the calling thread between two programs. */
export interface AcceptStep {
  readonly kind: "accept";
  readonly node: Extract<Node, { op: "accept_match" | "accept_typical" }>;
  /** The operands, in order. */
  readonly reads: readonly StorageId[];
  /** The results, in order. */
  readonly writes: readonly StorageId[];
  readonly label: string;
  readonly vocabulary: number;
}

export type Step = KernelStep | AcceptStep;

export interface LoweredOutput {
  readonly name: string;
  readonly storage: StorageId;
  readonly type: TensorType;
}

/** A graph as steps over storages. */
export interface Lowered {
  readonly storages: readonly Storage[];
  /** In an order that respects every dependency. */
  readonly steps: readonly Step[];
  readonly outputs: readonly LoweredOutput[];
}
