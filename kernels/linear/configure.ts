import type { Target } from "../../src/ir/program.ts";
import { padToTile } from "../../src/ir/weight-layout.ts";
import type { LinearShape } from "./op.ts";

/** How the work of a linear layer is cut; linear-tensor-cores.cuh has the names. */
export interface LinearConfig {
  /** Of the products: CUDA cores' fma, or tensor cores' of compute capability 8.0 or of sm_90a. */
  readonly instruction: "fma" | "mma" | "wgmma";
  readonly tileOutputs: number;
  readonly blockTiles: number;
  readonly rowTile: number;
  readonly parts: number;
  readonly split: number;
  /** The blocks that share the inputs are a cluster and add up in shared memory. */
  readonly cluster: boolean;
  /** Blocks of a cluster along rows, which share copies of weights; with wgmma. */
  readonly clusterRows: number;
  /** Blocks of a cluster along outputs, which share copies of activations; with wgmma. */
  readonly clusterOutputs: number;
  /** Warps that multiply, in all three directions. */
  readonly warpsOutputs: number;
  readonly warpsRows: number;
  readonly warpsK: number;
  readonly stages: number;
  /** Weights are copied in bulk, from before the inputs are there (compute capability 9.0). */
  readonly bulk: boolean;
  readonly threads: number;
  /** Blocks that a multiprocessor holds: what registers and shared memory are cut for. */
  readonly resident: number;
  readonly sharedBytes: number;
}

/** Inputs of a step of the ring, and bytes of a row in it: kChunkInputs and kRowBytes in tensor-cores.cuh. */
const chunkInputs = 64;
const rowBytes = 2 * chunkInputs + 16;
const maxStages = 6;
/** Of a block's shared memory: scales, what is static, and the system's 1 KB. */
const reservedBytes = 3 * 1024;

/** Weights one after another along the outputs; otherwise the same outputs of each side by side. */
export function isMerged({ epilogue }: LinearShape): boolean {
  return epilogue.kind === "rope-cache";
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

/** The largest head rotated in an epilogue: a tile holds whole heads. */
export const maxFusedHeadTile = 256;

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

/** Outputs of the fewest whole heads that are whole tiles of 16. */
export function headTile(headDim: number): number {
  let outputs = headDim;
  while (outputs % 16 !== 0) outputs += headDim;
  return outputs;
}

export function tileCount(shape: LinearShape): number {
  const outputs = tileOutputs(shape);
  const counted = isMerged(shape) ? shape.weights : shape.weights.slice(0, 1);
  return counted.reduce((tiles, weight) => tiles + Math.ceil(weight.outputs / outputs), 0);
}

/**
 * Parts that the inputs are summed in, decided by the number of inputs alone: a layer's bits are the
 * same in every graph it appears in, however it is merged, tiled or split.
 */
export function inputParts(inputs: number): number {
  const chunks = Math.ceil(inputs / chunkInputs);
  return chunks >= 16 ? 4 : chunks >= 8 ? 2 : 1;
}

/** How a layer is cut without measurements: what is likely the fastest. */
export function configure(shape: LinearShape, rows: number, target: Target): LinearConfig {
  return usesTensorCores(shape)
    ? configureTensorCores(shape, rows, target)
    : configureCudaCores(shape, rows);
}

function configureTensorCores(shape: LinearShape, rows: number, target: Target): LinearConfig {
  for (let rowTile = widestRowTile(rows); ; rowTile /= 2) {
    const cut = usesWarpgroups(shape, target)
      ? usualWarpgroupCut(shape, rows, rowTile, target)
      : usualCut(shape, rows, rowTile, target);
    const config = cutConfig(shape, rows, target, cut);
    if (fitsBlock(config, target) || rowTile === 8) return config;
  }
}

/** Rows of a tile that holds all rows, or of the largest tile there is. */
export function widestRowTile(rows: number): number {
  return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : rows <= 64 ? 64 : 128;
}

/** Registers of 128 rows are enough for eight warps that multiply. */
export function fitsBlock(
  { instruction, sharedBytes, threads, rowTile }: LinearConfig,
  { capability }: Target,
): boolean {
  const limit = sharedPerMultiprocessor(capability) - reservedBytes;
  const producer = instruction === "wgmma" ? 32 : 0;
  return sharedBytes <= limit && threads - producer <= (rowTile > 64 ? 256 : 512);
}

/** What there is to choose in cutting a layer on tensor cores; the rest follows. */
export interface LinearCut {
  readonly rowTile: number;
  readonly blockTiles: number;
  /** Who sums the parts: a block all of them, groups of its warps one each, or blocks one each. */
  readonly parts: "block" | "warps" | "blocks";
  /** Blocks with a part each add up in a cluster's shared memory, otherwise through memory. */
  readonly cluster: boolean;
  readonly bulk: boolean;
  /** Tiles of 16 outputs that a warp multiplies, where they can be shared so. */
  readonly warpTiles: number;
  /** Undefined: as many as there is work for and registers and shared memory allow. */
  readonly resident?: number | undefined;
  /** Undefined: as many as there is room for. */
  readonly stages?: number | undefined;
  /** With wgmma: blocks that share copies, where the grid has a multiple of them; 1 without it. */
  readonly clusterRows?: number | undefined;
  readonly clusterOutputs?: number | undefined;
}

function usualCut(shape: LinearShape, rows: number, rowTile: number, target: Target): LinearCut {
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

/**
 * With wgmma: wide blocks, whose groups of four warps have 64 outputs each. Clusters share copies
 * where activations are as much as half the weights (64 rows), and both where rows are many. Then two
 * narrow blocks of more sharers take as little from L2 as a wide one, and one's products hide the
 * other's beginning and end.
 */
function usualWarpgroupCut(
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

/** The configuration a cut leads to. `cluster` and `bulk` are used where they are possible. */
export function cutConfig(
  shape: LinearShape,
  rows: number,
  target: Target,
  cut: LinearCut,
): LinearConfig {
  if (usesWarpgroups(shape, target)) return warpgroupConfig(shape, rows, target, cut);
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
  // Registers allow no more: accumulators and sums of parts take 128 from 64 rows on. A ring of two
  // stages would stand still while one is multiplied: fewer blocks are better than that.
  const most = rowTile > 64 ? 1 : rowTile > 32 || threads > 160 ? 2 : 3;
  const room = (resident: number): number =>
    Math.floor(
      (sharedPerMultiprocessor(target.capability) / resident - reservedBytes) / stageBytes,
    );
  // Clusters find places more easily where a multiprocessor holds more than one block.
  const needed = Math.max(cluster ? 2 : 1, Math.ceil(blocks / target.multiprocessors));
  let resident = cut.resident ?? Math.min(needed, most);
  while (resident > 1 && room(resident) < 3) resident--;
  const chunks = Math.ceil(shape.inputs / chunkInputs / (warps.warpsK * split));
  const stages = Math.max(2, Math.min(cut.stages ?? maxStages, room(resident), chunks + 1));
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

function warpgroupConfig(
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
  // Sums and sums of parts of 128 rows are 128 registers: 320 threads have room for them.
  const most = rowTile > 64 ? 2 / groups : rowTile > 16 ? 2 : 3;
  const room = (resident: number): number =>
    Math.floor((sharedPerMultiprocessor(capability) / resident - reservedBytes) / stageBytes);
  const blocks = gridTiles * bucket * split;
  const clustered = split * clusterRows * clusterOutputs > 1;
  const needed = Math.max(clustered ? 2 : 1, Math.ceil(blocks / multiprocessors));
  let resident = cut.resident ?? Math.min(needed, most);
  while (resident > 1 && room(resident) < 3) resident--;
  const chunks = Math.ceil(shape.inputs / chunkInputs / split);
  const stages = Math.max(2, Math.min(cut.stages ?? maxStages, room(resident), chunks));
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

/** Weights whose outputs lie side by side in a tile. */
export function weightsBeside(shape: LinearShape): number {
  return isMerged(shape) ? 1 : shape.weights.length;
}

/** Bulk copies cannot fill with zeros. */
function canCopyInBulk(
  shape: LinearShape,
  blockOutputs: number,
  { capability, nvrtcMajor }: Target,
): boolean {
  return capability >= 90 && nvrtcMajor >= 12 && isFull(shape, blockOutputs);
}

/** Every block has all its outputs, every chunk all its inputs. */
export function isFull({ inputs, weights }: LinearShape, blockOutputs: number): boolean {
  return inputs % chunkInputs === 0 && weights.every(({ outputs }) => outputs % blockOutputs === 0);
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

/** Tiles of 128 outputs, all weights counted. Merged weights end within a block's tiles: one only. */
export function widestBlock(shape: LinearShape): number {
  if (isMerged(shape)) return 1;
  return Math.max(1, Math.floor(128 / (tileOutputs(shape) * shape.weights.length)));
}

/** Row tiles, rounded to a power of two up to eight: kernels differ between few row counts. */
export function rowTileBucket(rows: number, rowTile: number): number {
  const tiles = Math.ceil(rows / rowTile);
  return tiles >= 8 ? 8 : tiles >= 4 ? 4 : tiles;
}

function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.floor(limit); divisor > 1; divisor--) {
    if (value % divisor === 0) return divisor;
  }
  return 1;
}

/** Bytes of shared memory of a multiprocessor (CUDA programming guide, compute capabilities). */
export function sharedPerMultiprocessor(capability: number): number {
  if (capability === 80 || capability === 87) return 164 * 1024;
  if (capability >= 90 && capability < 120) return 228 * 1024;
  return 100 * 1024;
}

function configureCudaCores(shape: LinearShape, rows: number): LinearConfig {
  const outputs = tileOutputs(shape);
  const beside = isMerged(shape) ? 1 : shape.weights.length;
  const rowTile = rows <= 1 ? 1 : rows <= 2 ? 2 : rows <= 4 ? 4 : 8;
  const warpsK = 4;
  return {
    instruction: "fma",
    clusterRows: 1,
    clusterOutputs: 1,
    tileOutputs: outputs,
    blockTiles: 1,
    rowTile,
    parts: 1,
    split: 1,
    cluster: false,
    warpsOutputs: 1,
    warpsRows: 1,
    warpsK,
    stages: 1,
    bulk: false,
    threads: 32 * warpsK,
    resident: 4,
    sharedBytes: 4 * warpsK * beside * rowTile * (outputs + 4),
  };
}
