import {
  type Arg,
  type Expr,
  encoded,
  lift,
  memoryImmediate,
  operation,
  type Stmt,
  type ValueType,
} from "./expression.ts";
import { binary, load, store, unary } from "./numeric.ts";

type Vec = Expr<"v128">;
const v = "v128";

const un = (opcode: number) => unary(v, v, opcode);
const bin = (opcode: number) => binary(v, v, opcode);
const test = (opcode: number) => unary(v, "i32", opcode);
const splat = <T extends ValueType>(type: T, opcode: number) => unary(type, v, opcode);

const shift =
  (opcode: number) =>
  (value: Vec, count: Arg<"i32">): Vec =>
    operation(v, opcode, [value, lift("i32", count)]);

function checkLane(lane: number, lanes: number): number {
  if (!Number.isInteger(lane) || lane < 0 || lane >= lanes) {
    throw new RangeError(`lane ${lane} does not exist: the vector has ${lanes}`);
  }
  return lane;
}

const extract =
  <T extends ValueType>(type: T, opcode: number, lanes: number) =>
  (value: Vec, lane: number): Expr<T> =>
    operation(type, opcode, [value], [checkLane(lane, lanes)]);

const replace =
  <T extends ValueType>(type: T, opcode: number, lanes: number) =>
  (value: Vec, lane: number, element: Arg<T>): Vec =>
    operation(v, opcode, [value, lift(type, element)], [checkLane(lane, lanes)]);

const laneImmediate = (align: number, offset: number, lane: number): Uint8Array =>
  encoded((out) => {
    out.append(memoryImmediate(align, offset));
    out.byte(checkLane(lane, 16 >> align));
  });

const loadLane =
  (opcode: number, align: number) =>
  (address: Arg<"i32">, value: Vec, lane: number, offset = 0): Vec =>
    operation(v, opcode, [lift("i32", address), value], laneImmediate(align, offset, lane));

const storeLane =
  (opcode: number, align: number) =>
  (address: Arg<"i32">, value: Vec, lane: number, offset = 0): Stmt =>
    operation("void", opcode, [lift("i32", address), value], laneImmediate(align, offset, lane));

const constantOf = (bytes: Uint8Array): Vec => operation(v, 0xfd000c, [], bytes);

/** Whole-vector loads, stores and bit operations. */
export const v128 = {
  load: load(v, 0xfd0000, 4),
  load8x8S: load(v, 0xfd0001, 3),
  load8x8U: load(v, 0xfd0002, 3),
  load16x4S: load(v, 0xfd0003, 3),
  load16x4U: load(v, 0xfd0004, 3),
  load32x2S: load(v, 0xfd0005, 3),
  load32x2U: load(v, 0xfd0006, 3),
  load8Splat: load(v, 0xfd0007, 0),
  load16Splat: load(v, 0xfd0008, 1),
  load32Splat: load(v, 0xfd0009, 2),
  load64Splat: load(v, 0xfd000a, 3),
  load32Zero: load(v, 0xfd005c, 2),
  load64Zero: load(v, 0xfd005d, 3),
  store: store(v, 0xfd000b, 4),
  load8Lane: loadLane(0xfd0054, 0),
  load16Lane: loadLane(0xfd0055, 1),
  load32Lane: loadLane(0xfd0056, 2),
  load64Lane: loadLane(0xfd0057, 3),
  store8Lane: storeLane(0xfd0058, 0),
  store16Lane: storeLane(0xfd0059, 1),
  store32Lane: storeLane(0xfd005a, 2),
  store64Lane: storeLane(0xfd005b, 3),
  not: un(0xfd004d),
  and: bin(0xfd004e),
  /** `left & ~right`. */
  andNot: bin(0xfd004f),
  or: bin(0xfd0050),
  xor: bin(0xfd0051),
  /** Bits of `whenSet` where `mask` has ones, of `whenClear` elsewhere. */
  bitselect: (whenSet: Vec, whenClear: Vec, mask: Vec): Vec =>
    operation(v, 0xfd0052, [whenSet, whenClear, mask]),
  anyTrue: test(0xfd0053),
} as const;

/** Sixteen 8-bit integers. Comparisons give all ones or all zeros per lane, here and below. */
export const i8x16 = {
  /** Sixteen bytes. */
  const: (...lanes: number[]): Vec => constantOf(Uint8Array.from(lanesOf(lanes, 16))),
  /** Byte i of the result is byte `lanes[i]` of the 32 bytes of `left` then `right`. */
  shuffle: (left: Vec, right: Vec, lanes: readonly number[]): Vec =>
    operation(
      v,
      0xfd000d,
      [left, right],
      lanesOf(lanes, 16).map((lane) => checkLane(lane, 32)),
    ),
  /** Byte i of the result is byte `right[i]` of `left`, or 0 past 15. */
  swizzle: bin(0xfd000e),
  splat: splat("i32", 0xfd000f),
  extractLaneS: extract("i32", 0xfd0015, 16),
  extractLaneU: extract("i32", 0xfd0016, 16),
  replaceLane: replace("i32", 0xfd0017, 16),
  eq: bin(0xfd0023),
  ne: bin(0xfd0024),
  ltS: bin(0xfd0025),
  ltU: bin(0xfd0026),
  gtS: bin(0xfd0027),
  gtU: bin(0xfd0028),
  leS: bin(0xfd0029),
  leU: bin(0xfd002a),
  geS: bin(0xfd002b),
  geU: bin(0xfd002c),
  abs: un(0xfd0060),
  neg: un(0xfd0061),
  popcnt: un(0xfd0062),
  allTrue: test(0xfd0063),
  bitmask: test(0xfd0064),
  narrowI16x8S: bin(0xfd0065),
  narrowI16x8U: bin(0xfd0066),
  shl: shift(0xfd006b),
  shrS: shift(0xfd006c),
  shrU: shift(0xfd006d),
  add: bin(0xfd006e),
  addSatS: bin(0xfd006f),
  addSatU: bin(0xfd0070),
  sub: bin(0xfd0071),
  subSatS: bin(0xfd0072),
  subSatU: bin(0xfd0073),
  minS: bin(0xfd0076),
  minU: bin(0xfd0077),
  maxS: bin(0xfd0078),
  maxU: bin(0xfd0079),
  avgrU: bin(0xfd007b),
} as const;

/** Eight 16-bit integers. */
export const i16x8 = {
  const: (...lanes: number[]): Vec =>
    constantOf(new Uint8Array(Uint16Array.from(lanesOf(lanes, 8)).buffer)),
  splat: splat("i32", 0xfd0010),
  extractLaneS: extract("i32", 0xfd0018, 8),
  extractLaneU: extract("i32", 0xfd0019, 8),
  replaceLane: replace("i32", 0xfd001a, 8),
  eq: bin(0xfd002d),
  ne: bin(0xfd002e),
  ltS: bin(0xfd002f),
  ltU: bin(0xfd0030),
  gtS: bin(0xfd0031),
  gtU: bin(0xfd0032),
  leS: bin(0xfd0033),
  leU: bin(0xfd0034),
  geS: bin(0xfd0035),
  geU: bin(0xfd0036),
  extaddPairwiseI8x16S: un(0xfd007c),
  extaddPairwiseI8x16U: un(0xfd007d),
  abs: un(0xfd0080),
  neg: un(0xfd0081),
  q15mulrSatS: bin(0xfd0082),
  allTrue: test(0xfd0083),
  bitmask: test(0xfd0084),
  narrowI32x4S: bin(0xfd0085),
  narrowI32x4U: bin(0xfd0086),
  extendLowI8x16S: un(0xfd0087),
  extendHighI8x16S: un(0xfd0088),
  extendLowI8x16U: un(0xfd0089),
  extendHighI8x16U: un(0xfd008a),
  shl: shift(0xfd008b),
  shrS: shift(0xfd008c),
  shrU: shift(0xfd008d),
  add: bin(0xfd008e),
  addSatS: bin(0xfd008f),
  addSatU: bin(0xfd0090),
  sub: bin(0xfd0091),
  subSatS: bin(0xfd0092),
  subSatU: bin(0xfd0093),
  mul: bin(0xfd0095),
  minS: bin(0xfd0096),
  minU: bin(0xfd0097),
  maxS: bin(0xfd0098),
  maxU: bin(0xfd0099),
  avgrU: bin(0xfd009b),
  extmulLowI8x16S: bin(0xfd009c),
  extmulHighI8x16S: bin(0xfd009d),
  extmulLowI8x16U: bin(0xfd009e),
  extmulHighI8x16U: bin(0xfd009f),
} as const;

/** Four 32-bit integers. */
export const i32x4 = {
  const: (...lanes: number[]): Vec =>
    constantOf(new Uint8Array(Uint32Array.from(lanesOf(lanes, 4)).buffer)),
  splat: splat("i32", 0xfd0011),
  extractLane: extract("i32", 0xfd001b, 4),
  replaceLane: replace("i32", 0xfd001c, 4),
  eq: bin(0xfd0037),
  ne: bin(0xfd0038),
  ltS: bin(0xfd0039),
  ltU: bin(0xfd003a),
  gtS: bin(0xfd003b),
  gtU: bin(0xfd003c),
  leS: bin(0xfd003d),
  leU: bin(0xfd003e),
  geS: bin(0xfd003f),
  geU: bin(0xfd0040),
  extaddPairwiseI16x8S: un(0xfd007e),
  extaddPairwiseI16x8U: un(0xfd007f),
  abs: un(0xfd00a0),
  neg: un(0xfd00a1),
  allTrue: test(0xfd00a3),
  bitmask: test(0xfd00a4),
  extendLowI16x8S: un(0xfd00a7),
  extendHighI16x8S: un(0xfd00a8),
  extendLowI16x8U: un(0xfd00a9),
  extendHighI16x8U: un(0xfd00aa),
  shl: shift(0xfd00ab),
  shrS: shift(0xfd00ac),
  shrU: shift(0xfd00ad),
  add: bin(0xfd00ae),
  sub: bin(0xfd00b1),
  mul: bin(0xfd00b5),
  minS: bin(0xfd00b6),
  minU: bin(0xfd00b7),
  maxS: bin(0xfd00b8),
  maxU: bin(0xfd00b9),
  dotI16x8S: bin(0xfd00ba),
  extmulLowI16x8S: bin(0xfd00bc),
  extmulHighI16x8S: bin(0xfd00bd),
  extmulLowI16x8U: bin(0xfd00be),
  extmulHighI16x8U: bin(0xfd00bf),
  truncSatF32x4S: un(0xfd00f8),
  truncSatF32x4U: un(0xfd00f9),
  truncSatF64x2SZero: un(0xfd00fc),
  truncSatF64x2UZero: un(0xfd00fd),
} as const;

/** Two 64-bit integers. */
export const i64x2 = {
  const: (...lanes: bigint[]): Vec =>
    constantOf(new Uint8Array(BigUint64Array.from(lanesOf(lanes, 2)).buffer)),
  splat: splat("i64", 0xfd0012),
  extractLane: extract("i64", 0xfd001d, 2),
  replaceLane: replace("i64", 0xfd001e, 2),
  eq: bin(0xfd00d6),
  ne: bin(0xfd00d7),
  ltS: bin(0xfd00d8),
  gtS: bin(0xfd00d9),
  leS: bin(0xfd00da),
  geS: bin(0xfd00db),
  abs: un(0xfd00c0),
  neg: un(0xfd00c1),
  allTrue: test(0xfd00c3),
  bitmask: test(0xfd00c4),
  extendLowI32x4S: un(0xfd00c7),
  extendHighI32x4S: un(0xfd00c8),
  extendLowI32x4U: un(0xfd00c9),
  extendHighI32x4U: un(0xfd00ca),
  shl: shift(0xfd00cb),
  shrS: shift(0xfd00cc),
  shrU: shift(0xfd00cd),
  add: bin(0xfd00ce),
  sub: bin(0xfd00d1),
  mul: bin(0xfd00d5),
  extmulLowI32x4S: bin(0xfd00dc),
  extmulHighI32x4S: bin(0xfd00dd),
  extmulLowI32x4U: bin(0xfd00de),
  extmulHighI32x4U: bin(0xfd00df),
} as const;

/** Four 32-bit floats. `pmin`/`pmax` are `right < left ? right : left` and `left < right ? right : left`. */
export const f32x4 = {
  const: (...lanes: number[]): Vec =>
    constantOf(new Uint8Array(Float32Array.from(lanesOf(lanes, 4)).buffer)),
  splat: splat("f32", 0xfd0013),
  extractLane: extract("f32", 0xfd001f, 4),
  replaceLane: replace("f32", 0xfd0020, 4),
  eq: bin(0xfd0041),
  ne: bin(0xfd0042),
  lt: bin(0xfd0043),
  gt: bin(0xfd0044),
  le: bin(0xfd0045),
  ge: bin(0xfd0046),
  ceil: un(0xfd0067),
  floor: un(0xfd0068),
  trunc: un(0xfd0069),
  nearest: un(0xfd006a),
  abs: un(0xfd00e0),
  neg: un(0xfd00e1),
  sqrt: un(0xfd00e3),
  add: bin(0xfd00e4),
  sub: bin(0xfd00e5),
  mul: bin(0xfd00e6),
  div: bin(0xfd00e7),
  min: bin(0xfd00e8),
  max: bin(0xfd00e9),
  pmin: bin(0xfd00ea),
  pmax: bin(0xfd00eb),
  convertI32x4S: un(0xfd00fa),
  convertI32x4U: un(0xfd00fb),
  demoteF64x2Zero: un(0xfd005e),
} as const;

/** Two 64-bit floats. */
export const f64x2 = {
  const: (...lanes: number[]): Vec =>
    constantOf(new Uint8Array(Float64Array.from(lanesOf(lanes, 2)).buffer)),
  splat: splat("f64", 0xfd0014),
  extractLane: extract("f64", 0xfd0021, 2),
  replaceLane: replace("f64", 0xfd0022, 2),
  eq: bin(0xfd0047),
  ne: bin(0xfd0048),
  lt: bin(0xfd0049),
  gt: bin(0xfd004a),
  le: bin(0xfd004b),
  ge: bin(0xfd004c),
  ceil: un(0xfd0074),
  floor: un(0xfd0075),
  trunc: un(0xfd007a),
  nearest: un(0xfd0094),
  abs: un(0xfd00ec),
  neg: un(0xfd00ed),
  sqrt: un(0xfd00ef),
  add: bin(0xfd00f0),
  sub: bin(0xfd00f1),
  mul: bin(0xfd00f2),
  div: bin(0xfd00f3),
  min: bin(0xfd00f4),
  max: bin(0xfd00f5),
  pmin: bin(0xfd00f6),
  pmax: bin(0xfd00f7),
  convertLowI32x4S: un(0xfd00fe),
  convertLowI32x4U: un(0xfd00ff),
  promoteLowF32x4: un(0xfd005f),
} as const;

function lanesOf<T>(lanes: readonly T[], count: number): readonly T[] {
  if (lanes.length !== count) {
    throw new RangeError(`${lanes.length} lanes given: the vector has ${count}`);
  }
  return lanes;
}
