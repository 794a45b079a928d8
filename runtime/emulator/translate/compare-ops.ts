/** setp and set. */
import { i32x4, i64x2, v128 } from "../../wasm/wasm.ts";
import { compareFloats } from "./float-ops.ts";
import { greater64 } from "./integer-ops.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { lowWords, splat32, type Vec, type Wide } from "./vectors.ts";
import { type LaneType, readExtended, typesOf } from "./types.ts";

const COMPARISONS = new Set(
  "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan".split(" "),
);

/** Lane masks (32-bit) of the comparison the opcode names, on operands 1 and 2. */
function comparison(e: LaneEmitter, type: LaneType): Vec {
  const name = e.instruction.parts.find((part) => COMPARISONS.has(part)) ?? e.fail();
  const result = type.kind === "float" ? compareFloats(e, name, type) : integers(e, name, type);
  if ("low" in result) {
    return lowWords({ low: e.keep(result.low), high: e.keep(result.high) });
  }
  return result;
}

function integers(e: LaneEmitter, name: string, type: LaneType): Vec | Wide {
  const signed = type.kind === "signed";
  if (type.bits === 64) {
    const operands = [e.read64(e.operand(1)), e.read64(e.operand(2))];
    return e.mapWide(operands, (x, y) => wide(e, name, x as Vec, y as Vec, signed));
  }
  const a = readExtended(e, e.operand(1), type);
  const b = readExtended(e, e.operand(2), type);
  switch (name) {
    case "eq":
      return i32x4.eq(a, b);
    case "ne":
      return i32x4.ne(a, b);
    case "lt":
      return signed ? i32x4.ltS(a, b) : i32x4.ltU(a, b);
    case "le":
      return signed ? i32x4.leS(a, b) : i32x4.leU(a, b);
    case "gt":
      return signed ? i32x4.gtS(a, b) : i32x4.gtU(a, b);
    case "ge":
      return signed ? i32x4.geS(a, b) : i32x4.geU(a, b);
    case "lo":
      return i32x4.ltU(a, b);
    case "ls":
      return i32x4.leU(a, b);
    case "hi":
      return i32x4.gtU(a, b);
    case "hs":
      return i32x4.geU(a, b);
    default:
      return e.fail();
  }
}

function wide(e: LaneEmitter, name: string, a: Vec, b: Vec, signed: boolean): Vec {
  switch (name) {
    case "eq":
      return i64x2.eq(a, b);
    case "ne":
      return i64x2.ne(a, b);
    case "gt":
      return greater64(a, b, signed);
    case "lt":
      return greater64(b, a, signed);
    case "le":
      return v128.not(greater64(a, b, signed));
    case "ge":
      return v128.not(greater64(b, a, signed));
    case "hi":
      return greater64(a, b, false);
    case "lo":
      return greater64(b, a, false);
    case "ls":
      return v128.not(greater64(a, b, false));
    case "hs":
      return v128.not(greater64(b, a, false));
    default:
      return e.fail();
  }
}

export function setPredicate(e: LaneEmitter): void {
  const type = typesOf(e).at(-1) ?? e.fail("it names no type");
  const to = e.operand(0);
  const test = e.keep(comparison(e, type));
  const combine = booleanOf(e);
  const extra = combine === undefined ? undefined : e.read32(e.operand(3));
  const joined = (mask: Vec): Vec =>
    combine === undefined || extra === undefined ? mask : combine(mask, extra);
  if (to.kind === "pair") {
    const first = e.keep(joined(test));
    const second = e.keep(joined(v128.not(test)));
    e.write32(to.first, first);
    e.write32(to.second, second);
  } else e.write32(to, joined(test));
}

function booleanOf(e: LaneEmitter): ((a: Vec, b: Vec) => Vec) | undefined {
  const { parts } = e.instruction;
  // The boolean operator follows the comparison; `setp.ne.xor.b32` has none of the others' names.
  if (parts.includes("and")) return v128.and;
  if (parts.includes("or")) return v128.or;
  if (parts.includes("xor")) return v128.xor;
  return undefined;
}

/** set: all ones or 1.0 where the comparison holds. */
export function set(e: LaneEmitter): void {
  const [result, type] = typesOf(e);
  if (result === undefined || type === undefined) return e.fail("it names no types");
  if (result.bits !== 32) e.fail("16-bit results");
  const test = comparison(e, type);
  const combine = booleanOf(e);
  const mask = combine === undefined ? test : combine(test, e.read32(e.operand(3)));
  const ones = result.kind === "float" ? splat32(0x3f800000) : splat32(0xffffffff);
  e.write32(e.operand(0), v128.and(mask, ones));
}
