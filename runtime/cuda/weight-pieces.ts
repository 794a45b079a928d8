import { byteSize, type FloatDType, isFloat } from "../../src/ir/dtype.ts";
import { bindShape, elementCount } from "../../src/ir/shape.ts";
import {
  packTile,
  weightBytes,
  type WeightLayout,
  weightLayout,
} from "../../src/ir/weight-layout.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { ParameterSource } from "../executor.ts";

/** One weight as files have it and as the device wants it. */
export interface WeightPlan {
  readonly name: string;
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  readonly layout: WeightLayout;
  readonly elements: number;
  /** Bytes on the device, padding included. */
  readonly bytes: number;
}

/** A stretch of a weight that is moved at once. */
export interface Piece {
  readonly weight: WeightPlan;
  /** Elements, row-major. Of a packed weight, whole rows from a multiple of the tile on. */
  readonly first: number;
  readonly count: number;
}

/** @throws HydrantError `executor/weight` for a type no weight can have. */
export function planWeights({ parameters }: ParameterSource): WeightPlan[] {
  return [...parameters].map(([name, { dtype, shape: symbolic }]) => {
    if (!isFloat(dtype)) {
      throw new HydrantError("executor/weight", `A weight cannot be ${dtype}.`, { path: name });
    }
    const shape = bindShape(symbolic, {});
    return {
      name,
      dtype,
      shape,
      layout: weightLayout(dtype, shape),
      elements: elementCount(shape),
      bytes: weightBytes(dtype, shape),
    };
  });
}

/** Pieces begin where the widest loads and stores may. */
const alignment = 256;

/**
 * Bytes a staging buffer must have: no more than `most`, unless a row of tiles takes more, and no
 * more than the largest weight.
 */
export function stagingBytes(weights: readonly WeightPlan[], most: number): number {
  let largest = 0;
  let rowOfTiles = 0;
  for (const { dtype, shape, layout, elements } of weights) {
    largest = Math.max(largest, elements * byteSize(dtype));
    if (layout === "packed")
      rowOfTiles = Math.max(rowOfTiles, packTile * (shape[1] ?? 0) * byteSize(dtype));
  }
  const bytes = Math.max(rowOfTiles, Math.min(most, largest));
  return Math.max(1, Math.ceil(bytes / alignment)) * alignment;
}

/** All weights, in order, in pieces that fit a staging buffer. */
export function* weightPieces(weights: readonly WeightPlan[], staging: number): Generator<Piece> {
  for (const weight of weights) {
    const fitting = Math.floor(staging / byteSize(weight.dtype));
    const rowOfTiles = packTile * (weight.shape[1] ?? 1);
    const step = weight.layout === "packed" ? fitting - (fitting % rowOfTiles) : fitting;
    for (let first = 0; first < weight.elements; first += step) {
      yield { weight, first, count: Math.min(step, weight.elements - first) };
    }
  }
}
