import type { Target } from "../../src/ir/program.ts";
import { type LinearConfig, type LinearCut, rowTileBucket, shareMultiprocessor } from "./config.ts";
import type { LinearShape } from "./op.ts";
import {
  chunkInputs,
  inputParts,
  isFull,
  isMerged,
  tileCount,
  tileOutputs,
  weightsBeside,
} from "./tiling.ts";

/** Bytes of a row of the ring: kRowBytes in tensor-cores.cuh. */
const rowBytes = 2 * chunkInputs + 16;

/** What is likely the fastest with mma.sync. */
export function usualCut(
  shape: LinearShape,
  rows: number,
  rowTile: number,
  target: Target,
): LinearCut {
  const outputs = tileOutputs(shape);
  const tiles = tileCount(shape);
  const beside = weightsBeside(shape);
  const parts = inputParts(shape.inputs);
  const rowTiles = rowTileBucket(rows, rowTile);
  const blockTiles = Math.min(tiles, widestBlock(shape));
  const wideBlocks = Math.ceil(tiles / blockTiles) * rowTiles;
  // Wide blocks sum all parts themselves where nearly all multiprocessors get one. Otherwise
  // few rows take narrow blocks, whose groups of warps take a part each and meet in shared memory,
  // if that makes enough of them; if not, each part is a block's and the last one adds them up.
  const walks = parts === 1 || wideBlocks >= 0.9 * target.multiprocessors;
  const narrow =
    !walks &&
    rowTile <= 16 &&
    ((beside * outputs) / 16) * parts <= 16 &&
    tiles >= Math.min(0.8 * target.multiprocessors, wideBlocks * parts);
  return {
    rowTile,
    blockTiles: narrow ? 1 : blockTiles,
    parts: walks ? "block" : narrow ? "warps" : "blocks",
    cluster: target.capability >= 90,
    bulk: true,
    warpTiles: 2,
  };
}

/** The configuration with mma.sync that a cut leads to. */
export function tensorCoreConfig(
  shape: LinearShape,
  rows: number,
  target: Target,
  cut: LinearCut,
): LinearConfig {
  const { rowTile, blockTiles } = cut;
  const outputs = tileOutputs(shape);
  const beside = weightsBeside(shape);
  const parts = inputParts(shape.inputs);
  const split = cut.parts === "blocks" ? parts : 1;
  const warps = shareWarps(cut, (beside * outputs * blockTiles) / 16, parts);
  const blocks = Math.ceil(tileCount(shape) / blockTiles) * rowTileBucket(rows, rowTile) * split;
  const threads = 32 * warps.warpsOutputs * warps.warpsRows * warps.warpsK;
  const blockM = (beside * outputs * blockTiles) / 16;
  const stageBytes = warps.warpsK * (blockM * 4 * 512 + rowTile * rowBytes);
  const cluster = cut.cluster && split > 1 && target.capability >= 90;
  // Clusters find places more easily where a multiprocessor holds more than one block.
  const needed = Math.max(cluster ? 2 : 1, Math.ceil(blocks / target.multiprocessors));
  // Registers allow no more: accumulators and sums of parts take 128 from 64 rows on.
  const most = rowTile > 64 ? 1 : rowTile > 32 || threads > 160 ? 2 : 3;
  const chunks = Math.ceil(shape.inputs / chunkInputs / (warps.warpsK * split));
  const limits = { stageBytes, needed, most, mostStages: chunks + 1 };
  const { resident, stages } = shareMultiprocessor(cut, target.capability, limits);
  const tileBytes = 4 * warps.warpsK * beside * rowTile * (outputs + 4) * blockTiles;
  return {
    ...warps,
    instruction: "mma",
    clusterRows: 1,
    clusterOutputs: 1,
    tileOutputs: outputs,
    blockTiles,
    rowTile,
    parts,
    split,
    cluster,
    stages,
    bulk: cut.bulk && canCopyInBulk(shape, outputs * blockTiles, target),
    threads,
    resident,
    sharedBytes: Math.max(stages * stageBytes, tileBytes),
  };
}

/** Tiles of 128 outputs, all weights counted. Merged weights end within a block's tiles: one only. */
export function widestBlock(shape: LinearShape): number {
  if (isMerged(shape)) return 1;
  return Math.max(1, Math.floor(128 / (tileOutputs(shape) * shape.weights.length)));
}

/** Bulk copies cannot fill with zeros. */
function canCopyInBulk(
  shape: LinearShape,
  blockOutputs: number,
  { capability, nvrtcMajor }: Target,
): boolean {
  return capability >= 90 && nvrtcMajor >= 12 && isFull(shape, blockOutputs);
}

/**
 * Activations are read once per block, so blocks are wide; a warp multiplies two tiles of 16 outputs
 * with up to 64 rows, which keeps the traffic in shared memory below that of the tensor cores and
 * its accumulators in 64 registers. Groups with a part each share eight warps.
 * @param blockM tiles of 16 outputs of a block.
 */
function shareWarps(
  { parts: shares, rowTile, warpTiles }: LinearCut,
  blockM: number,
  parts: number,
): Pick<LinearConfig, "warpsOutputs" | "warpsRows" | "warpsK"> {
  if (shares === "warps") {
    const warpsOutputs = largestDivisor(blockM, Math.max(1, 8 / parts));
    return { warpsOutputs, warpsRows: 1, warpsK: parts };
  }
  const each = blockM % warpTiles === 0 ? warpTiles : 1;
  return {
    warpsOutputs: largestDivisor(blockM, Math.max(1, Math.min(8, blockM / each))),
    warpsRows: rowTile > 64 ? 2 : 1,
    warpsK: 1,
  };
}

function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.floor(limit); divisor > 1; divisor--) {
    if (value % divisor === 0) return divisor;
  }
  return 1;
}
