/** Which lane-wise operation emits which opcode family. */
import { GLOBAL_TAG, LOCAL_TAG, PARAM_TAG, SHARED_TAG } from "../layout.ts";
import type { Instruction } from "../ptx/ptx.ts";
import { i32, i32x4 } from "../../wasm/wasm.ts";
import { atomic } from "./atomic-ops.ts";
import {
  choose,
  convertAddress,
  funnelShift,
  isInSpace,
  logic,
  logic3,
  move,
  not,
  permute,
  shift,
} from "./bit-ops.ts";
import { set, setPredicate } from "./compare-ops.ts";
import { convert } from "./convert-ops.ts";
import { copySign, floatArithmetic, floatFunction, floatSign, testFloat } from "./float-ops.ts";
import {
  absoluteDifference,
  bitCounts,
  bitField,
  dotProduct,
  integerAbsNeg,
  integerAdd,
  integerDivide,
  integerMinMax,
  integerMultiply,
  multiply24,
  withCarry,
} from "./integer-ops.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { load, store } from "./memory-ops.ts";
import { typeOf } from "./types.ts";

type LaneOp = (e: LaneEmitter) => void;

const TAGS = {
  shared: SHARED_TAG,
  local: LOCAL_TAG,
  param: PARAM_TAG,
  const: GLOBAL_TAG,
  global: GLOBAL_TAG,
};

const byKind =
  (integer: LaneOp, float: LaneOp): LaneOp =>
  (e) =>
    typeOf(e).kind === "float" ? float(e) : integer(e);

/** Does nothing here: ordering and caching hints mean nothing to lanes that run one by one. */
const nothing: LaneOp = () => {};

/** mapa: the address of a shared variable in another block of the cluster. */
const mapAddress: LaneOp = (e) => {
  if (typeOf(e).bits !== 32) return e.fail("64-bit mapa");
  const ranks = i32x4.add(e.read32(e.operand(2)), i32x4.splat(i32.const(1)));
  const offsets = e.read32(e.operand(1));
  const low = i32x4.shrU(i32x4.shl(offsets, 8), 8);
  e.write32(e.operand(0), i32x4.add(i32x4.shl(ranks, 24), low));
};

const LANE_OPS: Readonly<Record<string, LaneOp>> = {
  mov: move,
  add: byKind(integerAdd, floatArithmetic),
  sub: byKind(integerAdd, floatArithmetic),
  addc: (e) => withCarry(e, true),
  subc: (e) => withCarry(e, true),
  mul: byKind(integerMultiply, floatArithmetic),
  mad: byKind(integerMultiply, floatArithmetic),
  mul24: multiply24,
  mad24: multiply24,
  fma: floatArithmetic,
  div: byKind(integerDivide, floatArithmetic),
  rem: integerDivide,
  min: byKind(integerMinMax, floatArithmetic),
  max: byKind(integerMinMax, floatArithmetic),
  abs: byKind(integerAbsNeg, floatSign),
  neg: byKind(integerAbsNeg, floatSign),
  sad: absoluteDifference,
  popc: bitCounts,
  clz: bitCounts,
  bfind: bitCounts,
  brev: bitCounts,
  bfe: bitField,
  bfi: bitField,
  dp4a: dotProduct,
  dp2a: dotProduct,
  and: logic,
  or: logic,
  xor: logic,
  not,
  cnot: not,
  shl: shift,
  shr: shift,
  shf: funnelShift,
  prmt: permute,
  lop3: logic3,
  selp: choose,
  slct: choose,
  setp: setPredicate,
  set,
  cvt: convert,
  cvta: (e) => convertAddress(e, TAGS),
  isspacep: (e) => isInSpace(e, TAGS),
  mapa: mapAddress,
  copysign: copySign,
  testp: testFloat,
  sqrt: floatFunction,
  rcp: floatFunction,
  rsqrt: floatFunction,
  ex2: floatFunction,
  lg2: floatFunction,
  sin: floatFunction,
  cos: floatFunction,
  tanh: floatFunction,
  ld: load,
  ldu: load,
  st: store,
  atom: atomic,
  red: atomic,
  prefetch: nothing,
  prefetchu: nothing,
  discard: nothing,
  applypriority: nothing,
  pmevent: nothing,
};

/** The operation of an instruction, or undefined if it is not lane-wise. */
export function laneOp(instruction: Instruction): LaneOp | undefined {
  const { parts } = instruction;
  const family = parts[0] ?? "";
  // `red.async` completes on an mbarrier; `st.async` likewise.
  if (parts[1] === "async") return undefined;
  return LANE_OPS[family];
}
