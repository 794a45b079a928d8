/** `%tid.x` and its kin. */
import { i32, i32x4, i64, i64x2, v128 } from "../../wasm/wasm.ts";
import { CONSTANT_ROWS, HEADER, LAUNCH } from "../layout.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec, type Wide } from "./vectors.ts";

const ROWS: Readonly<Record<string, number>> = {
  "%tid.x": HEADER.tidX,
  "%tid.y": HEADER.tidY,
  "%tid.z": HEADER.tidZ,
};

const CONSTANTS: Readonly<Record<string, number>> = {
  "%laneid": CONSTANT_ROWS.laneId,
  "%lanemask_eq": CONSTANT_ROWS.laneMaskEq,
  "%lanemask_lt": CONSTANT_ROWS.laneMaskLt,
  "%lanemask_le": CONSTANT_ROWS.laneMaskLe,
  "%lanemask_gt": CONSTANT_ROWS.laneMaskGt,
  "%lanemask_ge": CONSTANT_ROWS.laneMaskGe,
};

const PER_WARP: Readonly<Record<string, number>> = {
  "%ctaid.x": HEADER.ctaidX,
  "%ctaid.y": HEADER.ctaidY,
  "%ctaid.z": HEADER.ctaidZ,
  "%warpid": HEADER.warpInBlock,
  "%smid": HEADER.slot,
  "%cluster_ctarank": HEADER.clusterRank,
  "%cluster_ctaid.x": HEADER.clusterCtaX,
  "%cluster_ctaid.y": HEADER.clusterCtaY,
  "%cluster_ctaid.z": HEADER.clusterCtaZ,
  "%clusterid.x": HEADER.clusterIdX,
  "%clusterid.y": HEADER.clusterIdY,
  "%clusterid.z": HEADER.clusterIdZ,
};

const PER_LAUNCH: Readonly<Record<string, number>> = {
  "%ntid.x": LAUNCH.ntidX,
  "%ntid.y": LAUNCH.ntidY,
  "%ntid.z": LAUNCH.ntidZ,
  "%nctaid.x": LAUNCH.nctaidX,
  "%nctaid.y": LAUNCH.nctaidY,
  "%nctaid.z": LAUNCH.nctaidZ,
  "%nwarpid": LAUNCH.warps,
  "%gridid": LAUNCH.gridId,
  "%dynamic_smem_size": LAUNCH.dynamicShared,
  "%total_smem_size": LAUNCH.totalShared,
  "%cluster_nctaid.x": LAUNCH.clusterX,
  "%cluster_nctaid.y": LAUNCH.clusterY,
  "%cluster_nctaid.z": LAUNCH.clusterZ,
  "%cluster_nctarank": LAUNCH.clusterSize,
  "%nclusterid.x": LAUNCH.nclusterX,
  "%nclusterid.y": LAUNCH.nclusterY,
  "%nclusterid.z": LAUNCH.nclusterZ,
};

/** Clock registers count reads: every reading is later than the one before, and runs repeat. */
const CLOCK_STEP = 16n;

export function special32(emitter: LaneEmitter, name: string): Vec {
  const row = ROWS[name];
  if (row !== undefined) return v128.load(emitter.base32, row);
  const constant = CONSTANTS[name];
  if (constant !== undefined) return v128.load(emitter.quad, constant);
  const perWarp = PER_WARP[name];
  if (perWarp !== undefined) return v128.load32Splat(emitter.warp, perWarp);
  const perLaunch = PER_LAUNCH[name];
  if (perLaunch !== undefined) return v128.load32Splat(i32.const(0), perLaunch);
  switch (name) {
    case "WARP_SZ":
      return splat32(32);
    case "%is_explicit_cluster":
      return v128.load32Splat(i32.const(0), LAUNCH.explicitCluster);
    case "%nsmid":
      return splat32(132);
    case "%clock":
    case "%globaltimer_lo":
      return i32x4.splat(i32.wrapI64(tick(emitter)));
    case "%clock_hi":
    case "%globaltimer_hi":
      return i32x4.splat(i32.wrapI64(i64.shrU(tick(emitter), 32n)));
    default:
      return emitter.fail(`the special register ${name}`);
  }
}

export function special64(emitter: LaneEmitter, name: string): Wide {
  if (name === "%clock64" || name === "%globaltimer") {
    const now = i64x2.splat(tick(emitter));
    return { low: now, high: now };
  }
  const narrow = emitter.keep(special32(emitter, name));
  return { low: i64x2.extendLowI32x4U(narrow), high: i64x2.extendHighI32x4U(narrow) };
}

function tick(emitter: LaneEmitter) {
  const now = emitter.keep64(i64.add(i64.load(i32.const(0), LAUNCH.clock), CLOCK_STEP));
  emitter.f.do(i64.store(i32.const(0), now, LAUNCH.clock));
  return now;
}
