/** cvt: between integers, floats and the packed small formats. */
import {
  type Expr,
  f32,
  f32x4,
  f64,
  f64x2,
  i8x16,
  i32,
  i32x4,
  i64,
  i64x2,
  select,
  v128,
} from "../../wasm/wasm.ts";
import type { Operand } from "../ptx/ptx.ts";
import { directedMode, flush, saturate } from "./float-ops.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec, type Wide } from "./vectors.ts";
import { extend, has, type LaneType, laneType, readExtended } from "./types.ts";

const PACKED = new Set(["f16x2", "bf16x2", "e4m3x2", "e5m2x2"]);
/** Codes of the 8-bit formats in the host functions. */
const FP8 = { e4m3x2: 0, e5m2x2: 1 } as const;

export function convert(e: LaneEmitter): void {
  const names = e.instruction.parts
    .slice(1)
    .filter((part) => laneType(part) !== undefined || PACKED.has(part));
  const [to, from] = names;
  if (to === undefined || from === undefined) return e.fail("it names no types");
  if (PACKED.has(to)) return packed(e, to, from);
  if (to === "tf32") return toTf32(e);
  const target = laneType(to) ?? e.fail();
  const source = laneType(from) ?? e.fail();
  const isFloat = { to: target.kind === "float", from: source.kind === "float" };
  if (!isFloat.to && !isFloat.from) integers(e, target, source);
  else if (isFloat.to && isFloat.from) floats(e, target, source);
  else if (isFloat.to) fromInteger(e, target, source);
  else toInteger(e, target, source);
}

function integers(e: LaneEmitter, to: LaneType, from: LaneType): void {
  const [d, a] = [e.operand(0), e.operand(1)];
  if (has(e, "sat")) return saturateInteger(e, to, from);
  if (to.bits === 64) {
    if (from.bits === 64) return e.write64(d, e.read64(a));
    return e.write64(d, widenInteger(e, readExtended(e, a, from), from.kind === "signed"));
  }
  const value = from.bits === 64 ? e.read32(a) : readExtended(e, a, from);
  writeInteger(e, d, value, to);
}

/** A narrow result fills a wider register, extended by its own type. */
function writeInteger(e: LaneEmitter, to: Operand, value: Vec, type: LaneType): void {
  if (type.bits >= 32) return e.write32(to, value);
  const extended = extend(value, type);
  const width = to.kind === "reg" ? to.reg.bits : 32;
  e.write32(to, width <= 16 ? v128.and(extended, splat32(0xffff)) : extended);
}

function widenInteger(e: LaneEmitter, value: Vec, signed: boolean): Wide {
  const narrow = e.keep(value);
  return signed
    ? { low: i64x2.extendLowI32x4S(narrow), high: i64x2.extendHighI32x4S(narrow) }
    : { low: i64x2.extendLowI32x4U(narrow), high: i64x2.extendHighI32x4U(narrow) };
}

function saturateInteger(e: LaneEmitter, to: LaneType, from: LaneType): void {
  if (from.bits === 64 || to.bits === 64) e.fail("saturating 64-bit conversions");
  const x = readExtended(e, e.operand(1), from);
  const low = to.kind === "signed" ? -(2 ** (to.bits - 1)) : 0;
  const high = to.kind === "signed" ? 2 ** (to.bits - 1) - 1 : 2 ** to.bits - 1;
  let value = x;
  if (from.kind === "signed") {
    value = i32x4.maxS(value, splat32(low));
    if (high < 2 ** 31) value = i32x4.minS(value, splat32(high));
  } else value = i32x4.minU(value, splat32(high));
  writeInteger(e, e.operand(0), value, to);
}

function readFloat(e: LaneEmitter, operand: Operand, type: LaneType): Vec {
  const value = e.read32(operand);
  switch (type.name) {
    case "f32":
      return has(e, "ftz") ? flush(e, value) : value;
    case "f16":
      return e.core("v128", "f16ToF32", v128.and(value, splat32(0xffff)));
    case "bf16":
      return i32x4.shl(value, 16);
    default:
      return e.fail();
  }
}

const demote = (value: Wide): Vec =>
  i8x16.shuffle(
    f32x4.demoteF64x2Zero(value.low),
    f32x4.demoteF64x2Zero(value.high),
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  );

function promote(e: LaneEmitter, value: Vec): Wide {
  const kept = e.keep(value);
  const upper = i8x16.shuffle(kept, kept, [8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0]);
  return { low: f64x2.promoteLowF32x4(kept), high: f64x2.promoteLowF32x4(upper) };
}

/** Applies an integer rounding suffix, if there is one. */
function roundToIntegral(
  e: LaneEmitter,
  lanes: Pick<typeof f32x4, "nearest" | "trunc" | "floor" | "ceil">,
  value: Vec,
): Vec {
  if (has(e, "rni")) return lanes.nearest(value);
  if (has(e, "rzi")) return lanes.trunc(value);
  if (has(e, "rmi")) return lanes.floor(value);
  if (has(e, "rpi")) return lanes.ceil(value);
  return value;
}

function floats(e: LaneEmitter, to: LaneType, from: LaneType): void {
  const [d, a] = [e.operand(0), e.operand(1)];
  const mode = directedMode(e);
  if (from.name === "f64") {
    const x = e.read64(a);
    if (to.name === "f64") {
      return e.write64(
        d,
        e.mapWide([x], (half) => roundToIntegral(e, f64x2, half as Vec)),
      );
    }
    if (to.name !== "f32") e.fail("f64 to 16 bits");
    if (mode === undefined) return writeNarrowFloat(e, demote(x), to);
    return e.write32(d, directedFromF64(e, x, mode));
  }
  const x = readFloat(e, a, from);
  if (to.name === "f64") return e.write64(d, promote(e, x));
  if (to.bits === 16 && has(e, "rz")) return e.write32(d, truncateTo16(e, to, x));
  if (mode !== undefined) e.fail("this rounding");
  writeNarrowFloat(e, roundToIntegral(e, f32x4, x), to);
}

function writeNarrowFloat(e: LaneEmitter, value: Vec, type: LaneType): void {
  let result = value;
  if (has(e, "relu")) result = f32x4.max(result, f32x4.const(0, 0, 0, 0));
  if (has(e, "sat")) result = saturate(e, result);
  if (has(e, "ftz") && type.name === "f32") result = flush(e, result);
  if (type.name === "f16") result = e.core("v128", "f32ToF16", result);
  else if (type.name === "bf16") result = e.core("v128", "f32ToBf16", result);
  e.write32(e.operand(0), result);
}

/** Rounding towards zero to bf16 cuts bits; to f16 the result of rounding is stepped back if it grew. */
function truncateTo16(e: LaneEmitter, to: LaneType, value: Vec): Vec {
  const x = e.keep(value);
  const isNan = f32x4.ne(x, x);
  if (to.name === "bf16") return v128.bitselect(splat32(0x7fff), i32x4.shrU(x, 16), isNan);
  const rounded = e.keep(e.core("v128", "f32ToF16", x));
  const back = f32x4.abs(e.core("v128", "f16ToF32", rounded));
  const grew = v128.and(f32x4.gt(back, f32x4.abs(x)), splat32(1));
  return i32x4.sub(rounded, grew);
}

function directedFromF64(e: LaneEmitter, { low, high }: Wide, mode: number): Vec {
  const halves = [e.keep(low), e.keep(high)] as const;
  let result: Vec = splat32(0);
  for (let lane = 0; lane < 4; lane++) {
    const half = lane < 2 ? halves[0] : halves[1];
    const value = e.core("f32", "roundDirected", f64x2.extractLane(half, lane & 1), mode);
    result = lane === 0 ? f32x4.splat(value) : f32x4.replaceLane(result, lane, value);
  }
  return result;
}

function fromInteger(e: LaneEmitter, to: LaneType, from: LaneType): void {
  const [d, a] = [e.operand(0), e.operand(1)];
  const signed = from.kind === "signed";
  const mode = directedMode(e);
  if (from.bits === 64) {
    const x = e.read64(a);
    const kept = [e.keep(x.low), e.keep(x.high)] as const;
    const lane = (index: number): Expr<"i64"> =>
      i64x2.extractLane(index < 2 ? kept[0] : kept[1], index & 1);
    if (mode !== undefined) e.fail("this rounding");
    if (to.name === "f64") {
      const one = (index: number): Expr<"f64"> =>
        (signed ? f64.convertI64S : f64.convertI64U)(lane(index));
      return e.write64(d, {
        low: f64x2.replaceLane(f64x2.splat(one(0)), 1, one(1)),
        high: f64x2.replaceLane(f64x2.splat(one(2)), 1, one(3)),
      });
    }
    let result: Vec = splat32(0);
    for (let index = 0; index < 4; index++) {
      const value = (signed ? f32.convertI64S : f32.convertI64U)(lane(index));
      result = index === 0 ? f32x4.splat(value) : f32x4.replaceLane(result, index, value);
    }
    return writeNarrowFloat(e, result, to);
  }
  const x = e.keep(readExtended(e, a, from));
  const convertF64 = signed ? f64x2.convertLowI32x4S : f64x2.convertLowI32x4U;
  const upper = i8x16.shuffle(x, x, [8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0]);
  const exact = (): Wide => ({ low: convertF64(x), high: convertF64(upper) });
  if (to.name === "f64") return e.write64(d, exact());
  if (mode !== undefined) {
    if (to.name !== "f32") e.fail("this rounding");
    return e.write32(d, directedFromF64(e, exact(), mode));
  }
  const value = signed ? f32x4.convertI32x4S(x) : f32x4.convertI32x4U(x);
  writeNarrowFloat(e, value, to);
}

/** NaN becomes 0 (the most negative number for s64), and what does not fit the nearest that does. */
function toInteger(e: LaneEmitter, to: LaneType, from: LaneType): void {
  const [d, a] = [e.operand(0), e.operand(1)];
  const signed = to.kind === "signed";
  const isF64 = from.name === "f64";
  if (!isF64 && to.bits <= 32) {
    const x = roundToIntegral(e, f32x4, readFloat(e, a, from));
    const value = signed ? i32x4.truncSatF32x4S(x) : i32x4.truncSatF32x4U(x);
    return writeInteger(e, d, to.bits === 32 ? value : clampTo(value, to), to);
  }
  const wide = isF64
    ? e.mapWide([e.read64(a)], (half) => roundToIntegral(e, f64x2, half as Vec))
    : promote(e, roundToIntegral(e, f32x4, readFloat(e, a, from)));
  const kept = [e.keep(wide.low), e.keep(wide.high)] as const;
  if (to.bits === 64) {
    const one = (index: number): Expr<"i64"> => {
      const x = f64x2.extractLane(index < 2 ? kept[0] : kept[1], index & 1);
      if (!signed) return i64.truncSatF64U(x);
      return select(f64.eq(x, x), i64.truncSatF64S(x), i64.const(-(1n << 63n)));
    };
    return e.write64(d, {
      low: i64x2.replaceLane(i64x2.splat(one(0)), 1, one(1)),
      high: i64x2.replaceLane(i64x2.splat(one(2)), 1, one(3)),
    });
  }
  const truncate = signed ? i32x4.truncSatF64x2SZero : i32x4.truncSatF64x2UZero;
  const value = i8x16.shuffle(
    truncate(kept[0]),
    truncate(kept[1]),
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  );
  writeInteger(e, d, to.bits === 32 ? value : clampTo(value, to), to);
}

/** Clamps a 32-bit integer to a narrower type of the same signedness. */
function clampTo(value: Vec, to: LaneType): Vec {
  if (to.kind !== "signed") return i32x4.minU(value, splat32(2 ** to.bits - 1));
  const limit = 2 ** (to.bits - 1);
  return i32x4.minS(i32x4.maxS(value, splat32(-limit)), splat32(limit - 1));
}

/** Two values in one register: the first source is the upper one. */
function packed(e: LaneEmitter, to: string, from: string): void {
  if (from === "f32") {
    const [high, low] = [e.operand(1), e.operand(2)].map((operand) => {
      const x = e.read32(operand);
      return e.keep(has(e, "relu") ? f32x4.max(x, f32x4.const(0, 0, 0, 0)) : x);
    });
    if (high === undefined || low === undefined) return e.fail();
    if (to === "f16x2" || to === "bf16x2") {
      const type = laneType(to.slice(0, -2)) ?? e.fail();
      const one = (x: Vec): Vec => {
        if (has(e, "rz")) return truncateTo16(e, type, x);
        return e.core("v128", to === "f16x2" ? "f32ToF16" : "f32ToBf16", x);
      };
      const first = e.keep(one(low));
      return e.write32(e.operand(0), v128.or(first, i32x4.shl(one(high), 16)));
    }
    const code = FP8[to as keyof typeof FP8];
    if (!has(e, "satfinite")) e.fail("without satfinite");
    const lane = (x: Vec, at: number): Expr<"i32"> =>
      e.core("i32", "toFp8", f32x4.extractLane(x, at), code);
    let result: Vec = splat32(0);
    for (let at = 0; at < 4; at++) {
      const value = i32.or(i32.shl(lane(high, at), 8), lane(low, at));
      result = at === 0 ? i32x4.splat(value) : i32x4.replaceLane(result, at, value);
    }
    return e.write32(e.operand(0), result);
  }
  if (to === "f16x2" && (from === "e4m3x2" || from === "e5m2x2")) {
    const code = FP8[from];
    const value = e.perLane32([e.read32(e.operand(1))], (x) =>
      e.core("i32", "fp8PairToF16x2", x as Expr<"i32">, code),
    );
    return e.write32(e.operand(0), value);
  }
  e.fail();
}

/** tf32 keeps 10 bits of mantissa: rounded to nearest, ties away (rna) or to even (rn). */
function toTf32(e: LaneEmitter): void {
  const x = e.keep(e.read32(e.operand(1)));
  const half = has(e, "rna")
    ? splat32(0x1000)
    : i32x4.add(splat32(0xfff), v128.and(i32x4.shrU(x, 13), splat32(1)));
  const rounded = v128.and(i32x4.add(x, half), splat32(0xffffe000));
  const special = i32x4.geU(v128.and(x, splat32(0x7fffffff)), splat32(0x7f800000));
  e.write32(e.operand(0), v128.bitselect(x, rounded, special));
}
