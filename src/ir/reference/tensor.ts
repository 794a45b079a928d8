import type { DType } from "../dtype.ts";

/** A tensor of the reference interpreter: every float type is computed in f64. */
export interface ReferenceTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array | Int32Array | BigUint64Array;
}

export function zeros(dtype: DType, shape: readonly number[]): ReferenceTensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  switch (dtype) {
    case "i32":
      return { dtype, shape, data: new Int32Array(size) };
    case "u64":
      return { dtype, shape, data: new BigUint64Array(size) };
    case "f32":
    case "f16":
    case "bf16":
      return { dtype, shape, data: new Float64Array(size) };
    default:
      return dtype satisfies never;
  }
}

export function floats(tensor: ReferenceTensor): Float64Array {
  if (tensor.data instanceof Float64Array) return tensor.data;
  throw new TypeError(`expected a float tensor, got ${tensor.dtype}`);
}

export function ints(tensor: ReferenceTensor): Int32Array {
  if (tensor.data instanceof Int32Array) return tensor.data;
  throw new TypeError(`expected an i32 tensor, got ${tensor.dtype}`);
}

export function words(tensor: ReferenceTensor): BigUint64Array {
  if (tensor.data instanceof BigUint64Array) return tensor.data;
  throw new TypeError(`expected a u64 tensor, got ${tensor.dtype}`);
}

/** Elements per step of the first axis. */
export function rowSize(tensor: ReferenceTensor): number {
  return tensor.shape.slice(1).reduce((product, dim) => product * dim, 1);
}

/** Row `index` along the first axis, without copying. */
export function row(tensor: ReferenceTensor, index: number): Float64Array {
  const size = rowSize(tensor);
  return floats(tensor).subarray(index * size, (index + 1) * size);
}
