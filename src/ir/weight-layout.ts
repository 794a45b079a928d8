import { byteSize, type DType } from "./dtype.ts";
import type { Shape } from "./shape.ts";

/**
 * How a weight lies in device memory. Matrices [N, K] of 16-bit types are `packed` into the
 * fragments of mma.m16n8k16: tiles of 16 outputs by 16 inputs, tiles of one row of tiles contiguous
 * along K, a tile 512 bytes of which lane l owns 16 (its four registers, in order). Streaming a row
 * of tiles is one contiguous read, and no shared-memory shuffle stands between memory and tensor
 * core; wgmma takes the same fragments. Both extents are padded with zeros to multiples of 16, so
 * any shape will do.
 * Everything else is row-major.
 */
export type WeightLayout = "packed" | "row-major";

export const packTile = 16;

export function weightLayout(dtype: DType, shape: Shape): WeightLayout {
  return shape.length === 2 && byteSize(dtype) === 2 ? "packed" : "row-major";
}

/** Bytes of a weight in its layout. */
export function weightBytes(dtype: DType, shape: readonly number[]): number {
  const extents =
    weightLayout(dtype, shape) === "packed" ? shape.map((extent) => padToTile(extent)) : shape;
  return extents.reduce((product, extent) => product * extent, byteSize(dtype));
}

export function padToTile(extent: number): number {
  return Math.ceil(extent / packTile) * packTile;
}

/**
 * Element index in a packed [N, K] matrix of element (n, k). In a tile, lane 4·(n mod 8) + (k mod 8)/2
 * owns registers 0 (n < 8, k < 8), 1 (n ≥ 8, k < 8), 2 (n < 8, k ≥ 8) and 3, two elements each, the
 * one with even k first.
 */
export function packedIndex(n: number, k: number, inputs: number): number {
  const tile = Math.floor(n / 16) * (padToTile(inputs) / 16) + Math.floor(k / 16);
  const lane = 4 * (n % 8) + Math.floor((k % 8) / 2);
  const register = Math.floor((n % 16) / 8) + 2 * Math.floor((k % 16) / 8);
  return tile * 256 + lane * 8 + register * 2 + (k % 2);
}
