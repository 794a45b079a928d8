import type { BufferId } from "../../src/ir/program.ts";
import { type KernelCall, KernelEntry } from "../entry.ts";

/** Values of a tile: 32 to a lane, which a warp still holds in registers. */
const tileValues = 1024;
const partialsThreads = 128;

export interface TopkPartialsOp {
  /** f32 [rows, width]. */
  readonly x: BufferId;
  readonly rows: number;
  readonly width: number;
  /** 1 to 64. */
  readonly k: number;
  /** f32 and i32 [rows][tiles][k], the tiles of `topkTiling`. */
  readonly partialValues: BufferId;
  readonly partialIds: BufferId;
  readonly label: string;
}

/** How `topkPartials` cuts a row. */
export function topkTiling(width: number): { readonly tiles: number; readonly tileWidth: number } {
  const tiles = Math.ceil(width / tileValues);
  return { tiles, tileWidth: tiles === 1 ? 32 * Math.ceil(width / 32) : tileValues };
}

/**
 * The k best of each tile of a row, best first, ties by lower id, with places that a tile cannot
 * fill at (-Infinity, 0x7fffffff): for values that are in memory anyway. NaN counts as -Infinity.
 */
export function topkPartials(op: TopkPartialsOp): KernelCall {
  const { rows, width, k } = op;
  checkK(k);
  const { tiles, tileWidth: tile } = topkTiling(width);
  const entry = new KernelEntry("topk");
  const x = entry.buffer("x", op.x, "float", "read");
  const values = entry.buffer("partial_values", op.partialValues, "float", "write");
  const ids = entry.buffer("partial_ids", op.partialIds, "int", "write");
  return entry.finish({
    name: `topk_partials_${width}_k${k}`,
    comment: `The ${k} best of each ${tile} values of rows of ${width}.`,
    includes: ["kernels/topk/topk.cuh"],
    config: `
struct Config {
  static constexpr int kWidth = ${width};
  static constexpr int kTile = ${tile};
  static constexpr int kTiles = ${tiles};
  static constexpr int kK = ${k};
  static constexpr int kThreads = ${partialsThreads};
};`,
    body: `topk_partials<Config>(${x}, ${values}, ${ids});`,
    threads: partialsThreads,
    grid: [rows, Math.ceil(tiles / (partialsThreads / 32)), 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: rows * width * 4,
      writtenBytes: rows * tiles * k * 8,
      flops: 0,
    },
  });
}

export interface TopkMergeOp {
  /** f32 and i32 [rows][tiles][k], each list best first; missing places (-Infinity, 0x7fffffff). */
  readonly partialValues: BufferId;
  readonly partialIds: BufferId;
  readonly rows: number;
  readonly tiles: number;
  /** 1 to 64; 1 is argmax. */
  readonly k: number;
  /** f32 [rows, k]. */
  readonly values?: BufferId | undefined;
  /** i32 [rows, k]. */
  readonly ids: BufferId;
  readonly label: string;
}

/** The k best of a row from the k best of its tiles: best first, ties by lower id. */
export function topkMerge(op: TopkMergeOp): KernelCall {
  const { rows, tiles, k } = op;
  checkK(k);
  // About four lists to a lane: a step costs a comparison per list, a warp more one in the last merge.
  const warps = Math.min(32, Math.ceil(tiles / 128));
  const entry = new KernelEntry("topk");
  const partialValues = entry.buffer("partial_values", op.partialValues, "float", "read");
  const partialIds = entry.buffer("partial_ids", op.partialIds, "int", "read");
  const values =
    op.values === undefined ? "nullptr" : entry.buffer("values", op.values, "float", "write");
  const ids = entry.buffer("ids", op.ids, "int", "write");
  return entry.finish({
    name: `topk_merge_${tiles}_k${k}${op.values === undefined ? "_ids" : ""}`,
    comment: `The ${k} best of a row from the ${k} best of its ${tiles} tiles.`,
    includes: ["kernels/topk/topk.cuh"],
    config: `
struct Config {
  static constexpr int kTiles = ${tiles};
  static constexpr int kK = ${k};
  static constexpr int kWarps = ${warps};
};`,
    body: `topk_merge<Config>(${partialValues}, ${partialIds}, ${values}, ${ids});`,
    threads: 32 * warps,
    grid: [rows, 1, 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: rows * tiles * k * 8,
      writtenBytes: rows * k * (op.values === undefined ? 4 : 8),
      flops: 0,
    },
  });
}

function checkK(k: number): void {
  if (!Number.isInteger(k) || k < 1 || k > 64) throw new RangeError(`top-${k}: k is 1 to 64`);
}
