import type { Target } from "../../src/ir/program.ts";
import { padToTile } from "../../src/ir/weight-layout.ts";
import type { LinearShape } from "./op.ts";

/*
 * What decides a row's bits, and where they lie: the parts of the inputs, the instruction, the tiles of
 * the outputs. Weights and epilogue decide it alone; how the work is cut (configure.ts) changes none of it.
 */

/** Inputs that parts are counted in: a step of the ring; kChunkInputs in the main loops. */
export const chunkInputs = 64;

/** Weights one after another along the outputs; otherwise the same outputs of each side by side. */
export function isMerged({ epilogue }: LinearShape): boolean {
  return epilogue.kind === "rope-cache";
}

/** Weights whose outputs lie side by side in a tile. */
export function weightsBeside(shape: LinearShape): number {
  return isMerged(shape) ? 1 : shape.weights.length;
}

export function usesTensorCores({ x }: LinearShape): boolean {
  return x.dtype !== "f32";
}

/**
 * Whether a layer's products are wgmma's. Its type and inputs decide, so that a layer has the same
 * bits in every graph: nothing says that mma.sync adds up a row as wgmma does. Activations come
 * through tensor maps, whose rows begin at multiples of 16 bytes.
 */
export function usesWarpgroups(shape: LinearShape, { arch, nvrtcMajor }: Target): boolean {
  return usesTensorCores(shape) && arch === "sm_90a" && nvrtcMajor >= 12 && shape.inputs % 8 === 0;
}

/**
 * Parts that the inputs are summed in, decided by the number of inputs alone: a layer's bits are the
 * same in every graph it appears in, however it is merged, tiled or split.
 */
export function inputParts(inputs: number): number {
  const chunks = Math.ceil(inputs / chunkInputs);
  return chunks >= 16 ? 4 : chunks >= 8 ? 2 : 1;
}

/** The largest head rotated in an epilogue: a tile holds whole heads. */
export const maxFusedHeadTile = 256;

/** Outputs of the fewest whole heads that are whole tiles of 16. */
export function headTile(headDim: number): number {
  let outputs = headDim;
  while (outputs % 16 !== 0) outputs += headDim;
  return outputs;
}

/**
 * Outputs of a tile, of each weight: what an epilogue sees at a time. Partial results of a row are
 * counted in tiles, so weights and epilogue decide alone. A multiple of 16.
 */
export function tileOutputs(shape: LinearShape): number {
  const { epilogue, weights } = shape;
  const widest = padToTile(Math.max(...weights.map(({ outputs }) => outputs)));
  switch (epilogue.kind) {
    case "rope-cache": {
      const head = headTile(epilogue.headDim ?? 0);
      // f32 layers have no use for wide tiles; tensor cores read activations once per tile.
      const heads = usesTensorCores(shape) ? Math.max(1, Math.floor(128 / head)) : 1;
      return Math.min(head * heads, Math.ceil(widest / head) * head);
    }
    // Wide tiles make short lists to merge, and a vocabulary has tiles enough.
    case "topk":
      return Math.min(widest, usesTensorCores(shape) && widest >= 16384 ? 128 : 32);
    // Narrow ones give every multiprocessor a block without sharing the inputs among blocks.
    case "elementwise":
      if (!usesTensorCores(shape)) return 16;
      if (weights.length > 2) return 16;
      return Math.min(widest, weights.length === 1 && widest >= 16384 ? 128 : 32);
    default:
      return epilogue.kind satisfies never;
  }
}

/**
 * Tiles of outputs the layer is cut into: how many partial sums or top-k partials a row gets.
 * Depends on weights and epilogue, never on rows.
 */
export function tileCount(shape: LinearShape): number {
  const outputs = tileOutputs(shape);
  const counted = isMerged(shape) ? shape.weights : shape.weights.slice(0, 1);
  return counted.reduce((tiles, weight) => tiles + Math.ceil(weight.outputs / outputs), 0);
}

/** Every block has all its outputs, every chunk all its inputs. */
export function isFull({ inputs, weights }: LinearShape, blockOutputs: number): boolean {
  return inputs % chunkInputs === 0 && weights.every(({ outputs }) => outputs % blockOutputs === 0);
}
