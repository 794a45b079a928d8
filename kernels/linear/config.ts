import type { Target } from "../../src/ir/program.ts";

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

const maxStages = 6;
/** Of a block's shared memory: barriers, scales, what is static, and the system's 1 KB. */
const reservedBytes = 3 * 1024;

/** Rows of a tile that holds all rows, or of the largest tile there is. */
export function widestRowTile(rows: number): number {
  return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : rows <= 64 ? 64 : 128;
}

/** Row tiles, rounded to a power of two up to eight: kernels differ between few row counts. */
export function rowTileBucket(rows: number, rowTile: number): number {
  const tiles = Math.ceil(rows / rowTile);
  return tiles >= 8 ? 8 : tiles >= 4 ? 4 : tiles;
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

/**
 * Blocks that a multiprocessor holds and stages of their rings, as far as the cut does not name them:
 * as many as there is work and room for. A ring of two stages would stand still while one is
 * multiplied: fewer blocks are better than that.
 */
export function shareMultiprocessor(
  cut: Pick<LinearCut, "resident" | "stages">,
  capability: number,
  limits: {
    readonly stageBytes: number;
    /** Blocks, by the work and by registers; stages, by the chunks. */
    readonly needed: number;
    readonly most: number;
    readonly mostStages: number;
  },
): Pick<LinearConfig, "resident" | "stages"> {
  const { stageBytes, needed, most, mostStages } = limits;
  const shared = sharedPerMultiprocessor(capability);
  const room = (resident: number): number =>
    Math.floor((shared / resident - reservedBytes) / stageBytes);
  let resident = cut.resident ?? Math.min(needed, most);
  while (resident > 1 && room(resident) < 3) resident--;
  const stages = Math.max(2, Math.min(cut.stages ?? maxStages, room(resident), mostStages));
  return { resident, stages };
}

/** Bytes of shared memory of a multiprocessor (CUDA programming guide, compute capabilities). */
export function sharedPerMultiprocessor(capability: number): number {
  if (capability === 80 || capability === 87) return 164 * 1024;
  if (capability >= 90 && capability < 120) return 228 * 1024;
  return 100 * 1024;
}
