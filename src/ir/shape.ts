import type { DType } from "./dtype.ts";

/**
 * One extent of a tensor: a number, or a symbol bound later. The symbols in use are `rows` (tokens
 * in one run of a graph, bound per run) and `capacity` (slots of a cache, bound per session).
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Values of the symbols of a graph. */
export type DimBindings = Readonly<Record<string, number>>;

export function tensor(dtype: DType, ...shape: Dim[]): TensorType {
  return { dtype, shape };
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/**
 * The extents with every symbol replaced by its value.
 * @throws RangeError for a symbol without a binding.
 */
export function bindShape(shape: Shape, bindings: DimBindings): number[] {
  return shape.map((dim) => {
    if (typeof dim === "number") return dim;
    const value = bindings[dim];
    if (value === undefined) throw new RangeError(`dimension "${dim}" has no value`);
    return value;
  });
}

/** Number of elements; a scalar has one. */
export function elementCount(shape: Shape, bindings: DimBindings = {}): number {
  return bindShape(shape, bindings).reduce((product, dim) => product * dim, 1);
}

/** `f32[rows, 64]` */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(", ")}]`;
}
