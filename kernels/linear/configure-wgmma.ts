import type { Target } from "../../src/ir/program.ts";
import { type LinearConfig, type LinearCut, rowTileBucket, shareMultiprocessor } from "./config.ts";
import { usualCut, widestBlock } from "./configure-mma.ts";
import type { LinearShape } from "./op.ts";
import { chunkInputs, inputParts, tileCount, tileOutputs, weightsBeside } from "./tiling.ts";

/**
 * With wgmma: wide blocks, whose groups of four warps have 64 outputs each. Clusters share copies
 * where activations are as much as half the weights (64 rows), and both where rows are many. Then two
 * narrow blocks of more sharers take as little from L2 as a wide one, and one's products hide the
 * other's beginning and end.
 */
export function usualWarpgroupCut(
  shape: LinearShape,
  rows: number,
  rowTile: number,
  target: Target,
): LinearCut {
  const { parts, ...cut } = usualCut(shape, rows, rowTile, target);
  const wide = Math.min(tileCount(shape), widestBlock(shape));
  const narrow = Math.floor(64 / (weightsBeside(shape) * tileOutputs(shape)));
  const isNarrow = rowTile > 64 && narrow >= 1 && narrow < wide;
  return {
    ...cut,
    blockTiles: isNarrow ? narrow : wide,
    parts: parts === "warps" ? "blocks" : parts,
    clusterOutputs: isNarrow ? 4 : rowTile > 16 ? 2 : 1,
    clusterRows: 2,
  };
}

/** The configuration with wgmma that a cut leads to. */
export function warpgroupConfig(
  shape: LinearShape,
  rows: number,
  { multiprocessors, capability }: Target,
  cut: LinearCut,
): LinearConfig {
  const { rowTile, blockTiles } = cut;
  const outputs = tileOutputs(shape);
  const beside = weightsBeside(shape);
  const parts = inputParts(shape.inputs);
  const split = cut.parts === "blocks" ? parts : 1;
  const blockM = (beside * outputs * blockTiles) / 16;
  const groups = blockM > 4 ? 2 : 1;
  const threads = 32 * (4 * groups + 1);
  const gridTiles = Math.ceil(tileCount(shape) / blockTiles);
  const bucket = rowTileBucket(rows, rowTile);
  // A cluster has at most eight blocks on every device; a box has at least eight rows.
  // The grid is filled up to whole clusters: a block too many of four or more costs little.
  const sharers = bucket === 3 ? 1 : bucket;
  const clusterRows = largestShare(8, Math.min(cut.clusterRows ?? 1, 8 / split, sharers));
  const mostOutputs = Math.min(cut.clusterOutputs ?? 1, rowTile / 8);
  const clusterOutputs = largestShare(gridTiles, Math.min(mostOutputs, 8 / (split * clusterRows)));
  const stageBytes = blockM * 2048 + rowTile * 128;
  const blocks = gridTiles * bucket * split;
  const clustered = split * clusterRows * clusterOutputs > 1;
  const needed = Math.max(clustered ? 2 : 1, Math.ceil(blocks / multiprocessors));
  // Sums and sums of parts of 128 rows are 128 registers: 320 threads have room for them.
  const most = rowTile > 64 ? 2 / groups : rowTile > 16 ? 2 : 3;
  const chunks = Math.ceil(shape.inputs / chunkInputs / split);
  const limits = { stageBytes, needed, most, mostStages: chunks };
  const { resident, stages } = shareMultiprocessor(cut, capability, limits);
  const tileBytes = 4 * beside * rowTile * (outputs + 4) * blockTiles;
  return {
    instruction: "wgmma",
    clusterRows,
    clusterOutputs,
    warpsOutputs: 4 * groups,
    warpsRows: 1,
    warpsK: 1,
    tileOutputs: outputs,
    blockTiles,
    rowTile,
    parts,
    split,
    cluster: split > 1,
    stages,
    bulk: true,
    threads,
    resident,
    sharedBytes: Math.max(stages * stageBytes, tileBytes),
  };
}

/** The largest power of two up to `most` that divides `count`. */
function largestShare(count: number, most: number): number {
  let share = 1;
  while (2 * share <= most && count % (2 * share) === 0) share *= 2;
  return share;
}
