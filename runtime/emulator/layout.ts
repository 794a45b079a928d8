/**
 * Where things lie in the emulator's one linear memory. All addresses are byte offsets in it.
 *
 * A pointer of the emulated device is `GLOBAL_TAG` in the high 32 bits and the linear address in
 * the low 32, so a pointer cut to 32 bits, or made of a small integer, is recognised as wrong.
 * Shared and local addresses are relative to their window, as on hardware; their generic forms
 * carry tags of their own.
 */

/** Lanes of a warp. */
export const WARP = 32;

/** Accesses of lanes that are switched off go here, so that lane code needs no branches. */
export const DUMP_ADDRESS = 0x40;

/** Values shared by all blocks of the running launch, 32 bits each. */
export const LAUNCH = {
  ntidX: 0x100,
  ntidY: 0x104,
  ntidZ: 0x108,
  nctaidX: 0x10c,
  nctaidY: 0x110,
  nctaidZ: 0x114,
  dynamicShared: 0x118,
  totalShared: 0x11c,
  clusterX: 0x120,
  clusterY: 0x124,
  clusterZ: 0x128,
  clusterSize: 0x12c,
  gridId: 0x130,
  nclusterX: 0x134,
  nclusterY: 0x138,
  nclusterZ: 0x13c,
  /** 64-bit counter behind `%clock` and `%globaltimer`. */
  clock: 0x140,
  warps: 0x148,
  explicitCluster: 0x14c,
} as const;

/** Constant rows, one 32-bit value per lane. */
export const CONSTANT_ROWS = {
  laneId: 0x400,
  laneMaskEq: 0x480,
  laneMaskLt: 0x500,
  laneMaskLe: 0x580,
  laneMaskGt: 0x600,
  laneMaskGe: 0x680,
} as const;

/** What the access checks know of the running warp. Identities and doubled times as in races.ts. */
export const CHECK = {
  warp: 0x800,
  blockLow: 0x804,
  blockHigh: 0x808,
  blockSync: 0x80c,
  warpSync: 0x810,
  /** Accesses of other blocks and launches before this time are ordered before now. */
  foreign: 0x814,
  time: 0x818,
  /** The time itself: counts the moments at which one thread's memory became visible to another. */
  clock: 0x81c,
} as const;
/** Addresses of an access that the host makes, by lane. */
export const ADDRESS_ROW = 0x900;
/** Of one round of a shared-memory access: words per bank, and which (32 for each). */
export const BANK_COUNTS = 0x980;
export const BANK_WORDS = 0x5000;

/** Scratch of the matrix functions: A as f32 or i32, then B. */
export const MMA_A = 0x1000;
export const MMA_B = 0x2000;
/** f32 value of every e4m3, then of every e5m2 code. */
export const FP8_TABLES = 0x4000;

/** The kernel's parameter block. */
export const PARAM_BASE = 0x8000;
export const PARAM_BYTES = 0x8000;

/** First byte of per-block state (registers, shared and local windows). */
export const STATE_BASE = 0x10000;

/** Header of a warp's state, before its register rows. Offsets in bytes. */
export const HEADER = {
  pc: 0,
  mask: 4,
  reconvergence: 8,
  stack: 12,
  fuel: 16,
  exited: 20,
  sharedBase: 24,
  localBase: 28,
  ctaidX: 32,
  ctaidY: 36,
  ctaidZ: 40,
  warpInBlock: 44,
  /** Index of the block's state in the scheduler. */
  slot: 48,
  /** Lanes the block has in this warp. */
  initialMask: 52,
  /** Linear addresses of the shared windows of the cluster's blocks, by rank: a pointer to a table. */
  clusterTable: 56,
  clusterRank: 60,
  clusterCtaX: 64,
  clusterCtaY: 68,
  clusterCtaZ: 72,
  clusterIdX: 76,
  clusterIdY: 80,
  clusterIdZ: 84,
  /** When the lanes last synchronised with one another. */
  warpSync: 88,
  /** Row of the carry flag (0 or 1). */
  carry: 128,
  /** Row of lane masks of the active lanes. */
  maskRow: 256,
  tidX: 384,
  tidY: 512,
  tidZ: 640,
  stackBase: 768,
} as const;

/** Bytes of one entry of the divergence stack: resume block, mask, reconvergence block, unused. */
export const STACK_ENTRY = 16;
export const STACK_DEPTH = 96;

/** First register row of a warp. */
export const ROWS_BASE = HEADER.stackBase + STACK_ENTRY * STACK_DEPTH;

/** High 32 bits of generic addresses. */
export const GLOBAL_TAG = 0x7f10;
export const SHARED_TAG = 0x7f20;
export const LOCAL_TAG = 0x7f30;
export const PARAM_TAG = 0x7f40;

/** Device pointer of a linear address. */
export function tagged(linear: number): number {
  return GLOBAL_TAG * 2 ** 32 + linear;
}

/** Warp instructions (of loops) a warp executes before another one gets a turn. */
export const SLICE = 200_000;

/** What a warp's run function answers. */
export const STATUS = {
  done: 0,
  /** At a barrier of the block. */
  barrier: 1,
  /** Out of fuel. */
  yielded: 2,
  /** In a loop that waits for memory to change. */
  spinning: 4,
  /** The divergence stack is full. */
  stackOverflow: 3,
} as const;

/** Reconvergence block of lanes that only meet at the end of the kernel. */
export const NEVER = 0x7fffffff;
