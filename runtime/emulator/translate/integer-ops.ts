/** Integer arithmetic. */
import { type Expr, i8x16, i16x8, i32, i32x4, i64, i64x2, select, v128 } from "../../wasm/wasm.ts";
import { HEADER } from "../layout.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { highWords, splat32, splat64, type Vec, type Wide } from "./vectors.ts";
import { cut, has, type LaneType, laneType, readExtended, typeOf, typesOf } from "./types.ts";

type Binary = (a: Vec, b: Vec) => Vec;

/** Applies an operation per 32- or 64-bit lane, whichever the type asks for. */
function binary(e: LaneEmitter, type: LaneType, narrow: Binary, wide: Binary): void {
  const [to, a, b] = [e.operand(0), e.operand(1), e.operand(2)];
  if (type.bits === 64) {
    e.write64(
      to,
      e.mapWide([e.read64(a), e.read64(b)], (x, y) => wide(x as Vec, y as Vec)),
    );
    return;
  }
  e.write32(to, cut(narrow(readExtended(e, a, type), readExtended(e, b, type)), type));
}

export function integerAdd(e: LaneEmitter): void {
  const type = typeOf(e);
  const subtracts = e.instruction.parts[0] === "sub";
  if (has(e, "cc")) return withCarry(e, false);
  if (has(e, "sat")) {
    if (type.name !== "s32") e.fail();
    const max = 0x7fffffffn;
    const clamp = (x: Expr<"i64">): Expr<"i32"> => {
      const kept = e.keep64(x);
      const low = select(i64.ltS(kept, -max - 1n), i64.const(-max - 1n), kept);
      return i32.wrapI64(select(i64.gtS(kept, max), i64.const(max), low));
    };
    const op = subtracts ? i64.sub : i64.add;
    const value = e.perLane32([e.read32(e.operand(1)), e.read32(e.operand(2))], (a, b) =>
      clamp(op(i64.extendI32S(a as Expr<"i32">), i64.extendI32S(b as Expr<"i32">))),
    );
    e.write32(e.operand(0), value);
    return;
  }
  if (type.name === "u16x2" || type.name === "s16x2") e.fail();
  if (subtracts) binary(e, type, i32x4.sub, i64x2.sub);
  else binary(e, type, i32x4.add, i64x2.add);
}

/** add.cc, addc, sub.cc, subc: the carry flag is a row of the warp, 0 or 1 per lane. */
export function withCarry(e: LaneEmitter, readsCarry: boolean): void {
  const type = typeOf(e);
  if (type.bits !== 32) e.fail("carries are emulated for 32 bits only");
  const subtracts = (e.instruction.parts[0] ?? "").startsWith("sub");
  const a = e.keep(e.read32(e.operand(1)));
  const b = e.keep(e.read32(e.operand(2)));
  const carryIn = e.keep(readsCarry ? v128.load(e.base32, HEADER.carry) : splat32(0));
  const first = e.keep(subtracts ? i32x4.sub(a, b) : i32x4.add(a, b));
  const value = e.keep(subtracts ? i32x4.sub(first, carryIn) : i32x4.add(first, carryIn));
  if (has(e, "cc")) {
    const carries = subtracts
      ? v128.or(i32x4.ltU(a, b), i32x4.ltU(first, carryIn))
      : v128.or(i32x4.ltU(first, a), i32x4.ltU(value, first));
    e.f.do(v128.store(e.base32, v128.and(carries, splat32(1)), HEADER.carry));
  }
  e.write32(e.operand(0), value);
}

/** The full product of 32-bit lanes. */
function wideProduct(a: Vec, b: Vec, signed: boolean): Wide {
  return signed
    ? { low: i64x2.extmulLowI32x4S(a, b), high: i64x2.extmulHighI32x4S(a, b) }
    : { low: i64x2.extmulLowI32x4U(a, b), high: i64x2.extmulHighI32x4U(a, b) };
}

/** mul and mad, in their lo, hi and wide forms. */
export function integerMultiply(e: LaneEmitter): void {
  const type = typeOf(e);
  const adds = e.instruction.parts[0] === "mad";
  if (has(e, "cc") || has(e, "sat")) e.fail();
  const signed = type.kind === "signed";
  const [to, a, b] = [e.operand(0), e.operand(1), e.operand(2)];
  if (type.bits === 64) {
    const [x, y] = [e.read64(a), e.read64(b)];
    let product: Wide;
    if (has(e, "hi")) {
      const high = signed ? "mulHighS64" : "mulHighU64";
      product = e.perLane64([x, y], [], ([p, q]) =>
        e.core("i64", high, p as Expr<"i64">, q as Expr<"i64">),
      );
    } else product = e.mapWide([x, y], (p, q) => i64x2.mul(p as Vec, q as Vec));
    e.write64(to, adds ? addWide(e, product, e.read64(e.operand(3))) : product);
    return;
  }
  const x = e.keep(readExtended(e, a, type));
  const y = e.keep(readExtended(e, b, type));
  if (has(e, "wide") && type.bits === 32) {
    const product = wideProduct(x, y, signed);
    e.write64(to, adds ? addWide(e, product, e.read64(e.operand(3))) : product);
    return;
  }
  let product: Vec;
  if (!has(e, "hi")) product = i32x4.mul(x, y);
  else if (type.bits === 32) product = highWords(wideProduct(x, y, signed));
  else product = (signed ? i32x4.shrS : i32x4.shrU)(i32x4.mul(x, y), 16);
  const sum = adds ? i32x4.add(product, e.read32(e.operand(3))) : product;
  e.write32(to, has(e, "wide") ? sum : cut(sum, type));
}

function addWide(e: LaneEmitter, a: Wide, b: Wide): Wide {
  return e.mapWide([a, b], (x, y) => i64x2.add(x as Vec, y as Vec));
}

/** mul24 and mad24: the product of the low 24 bits. */
export function multiply24(e: LaneEmitter): void {
  const signed = typeOf(e).kind === "signed";
  if (has(e, "hi") || has(e, "sat")) e.fail();
  const low24 = (x: Vec): Vec => (signed ? i32x4.shrS : i32x4.shrU)(i32x4.shl(x, 8), 8);
  const product = i32x4.mul(low24(e.read32(e.operand(1))), low24(e.read32(e.operand(2))));
  const adds = e.instruction.parts[0] === "mad24";
  e.write32(e.operand(0), adds ? i32x4.add(product, e.read32(e.operand(3))) : product);
}

/** div and rem. Dividing by zero is undefined in PTX; here it gives all ones (rem: the dividend). */
export function integerDivide(e: LaneEmitter): void {
  const type = typeOf(e);
  const signed = type.kind === "signed";
  const isRemainder = e.instruction.parts[0] === "rem";
  const one = (a: Expr<"i64">, b: Expr<"i64">): Expr<"i64"> => {
    const [x, y] = [e.keep64(a), e.keep64(b)];
    const zero = i64.eqz(y);
    // Minus one is kept from the divider too: the most negative number over it traps.
    const minusOne = i64.eq(y, -1n);
    const unsafe = signed ? i32.or(zero, minusOne) : zero;
    const safe = select(unsafe, i64.const(1n), y);
    const divide = isRemainder
      ? (signed ? i64.remS : i64.remU)(x, safe)
      : (signed ? i64.divS : i64.divU)(x, safe);
    const onZero = isRemainder ? x : i64.const(-1n);
    const exact = select(zero, onZero, divide);
    if (!signed) return exact;
    return select(minusOne, isRemainder ? i64.const(0n) : i64.sub(0n, x), exact);
  };
  const [to, a, b] = [e.operand(0), e.operand(1), e.operand(2)];
  if (type.bits === 64) {
    e.write64(
      to,
      e.perLane64([e.read64(a), e.read64(b)], [], ([x, y]) =>
        e.keep64(one(x as Expr<"i64">, y as Expr<"i64">)),
      ),
    );
    return;
  }
  const widen = signed ? i64.extendI32S : i64.extendI32U;
  const value = e.perLane32([readExtended(e, a, type), readExtended(e, b, type)], (x, y) =>
    e.keep32(i32.wrapI64(one(widen(x as Expr<"i32">), widen(y as Expr<"i32">)))),
  );
  e.write32(to, cut(value, type));
}

const NARROW_MIN_MAX = {
  min: { signed: i32x4.minS, unsigned: i32x4.minU },
  max: { signed: i32x4.maxS, unsigned: i32x4.maxU },
} as const;

export function integerMinMax(e: LaneEmitter): void {
  const type = typeOf(e);
  const name = e.instruction.parts[0] === "min" ? "min" : "max";
  const signed = type.kind === "signed";
  const wide: Binary = (a, b) => {
    const [x, y] = [e.keep(a), e.keep(b)];
    const greater = e.keep(greater64(x, y, signed));
    return name === "max" ? v128.bitselect(x, y, greater) : v128.bitselect(y, x, greater);
  };
  binary(e, type, NARROW_MIN_MAX[name][signed ? "signed" : "unsigned"], wide);
}

/** Lane masks of a > b for 64-bit lanes; there is no unsigned comparison, so signs are flipped. */
export function greater64(a: Vec, b: Vec, signed: boolean): Vec {
  if (signed) return i64x2.gtS(a, b);
  const sign = splat64(1n << 63n);
  return i64x2.gtS(v128.xor(a, sign), v128.xor(b, sign));
}

export function integerAbsNeg(e: LaneEmitter): void {
  const type = typeOf(e);
  const isAbs = e.instruction.parts[0] === "abs";
  if (type.bits === 64) {
    const value = e.mapWide([e.read64(e.operand(1))], (x) =>
      isAbs ? i64x2.abs(x as Vec) : i64x2.neg(x as Vec),
    );
    e.write64(e.operand(0), value);
    return;
  }
  const x = readExtended(e, e.operand(1), type);
  e.write32(e.operand(0), cut(isAbs ? i32x4.abs(x) : i32x4.neg(x), type));
}

/** popc, clz, bfind, brev: results of the first three are 32-bit whatever the operand. */
export function bitCounts(e: LaneEmitter): void {
  const type = typeOf(e);
  const family = e.instruction.parts[0];
  const [to, source] = [e.operand(0), e.operand(1)];
  if (family === "popc" && type.bits === 32) {
    const bytes = i8x16.popcnt(e.read32(source));
    e.write32(to, i32x4.extaddPairwiseI16x8U(i16x8.extaddPairwiseI8x16U(bytes)));
    return;
  }
  if (family === "brev") {
    if (type.bits === 32) {
      const one = (x: Expr<"i32">): Expr<"i32"> => e.core("i32", "brev", x);
      e.write32(
        to,
        e.perLane32([e.read32(source)], (x) => one(x as Expr<"i32">)),
      );
      return;
    }
    const value = e.perLane64([e.read64(source)], [], ([x]) => {
      const kept = e.keep64(x as Expr<"i64">);
      const low = e.core("i32", "brev", i32.wrapI64(kept));
      const high = e.core("i32", "brev", i32.wrapI64(i64.shrU(kept, 32n)));
      return i64.or(i64.shl(i64.extendI32U(low), 32n), i64.extendI32U(high));
    });
    e.write64(to, value);
    return;
  }
  const wide = type.bits === 64;
  const last = wide ? 63 : 31;
  const one = (x: Expr<"i64">): Expr<"i32"> => {
    switch (family) {
      case "popc":
        return i32.wrapI64(i64.popcnt(x));
      case "clz":
        return i32.sub(i32.wrapI64(i64.clz(x)), wide ? 0 : 32);
      default: {
        // bfind: the highest bit that differs from the sign; none gives all ones.
        const kept = e.keep64(x);
        const signed = type.kind === "signed";
        const flipped = e.keep64(signed ? i64.xor(kept, i64.shrS(kept, 63n)) : kept);
        const position = e.keep32(i32.sub(63, i32.wrapI64(i64.clz(flipped))));
        const found = has(e, "shiftamt") ? i32.sub(last, position) : position;
        return e.keep32(select(i64.eqz(flipped), i32.const(-1), found));
      }
    }
  };
  if (wide) {
    e.write32(
      to,
      e.perLane64To32([e.read64(source)], (x) => one(x as Expr<"i64">)),
    );
    return;
  }
  const signed = type.kind === "signed" && family === "bfind";
  const extend = signed ? i64.extendI32S : i64.extendI32U;
  e.write32(
    to,
    e.perLane32([e.read32(source)], (x) => one(extend(x as Expr<"i32">))),
  );
}

export function bitField(e: LaneEmitter): void {
  const type = typeOf(e);
  const inserts = e.instruction.parts[0] === "bfi";
  const name = inserts ? `bfi${type.bits}` : `bfe${type.kind === "signed" ? "S" : "U"}${type.bits}`;
  const wideOperands = inserts ? 2 : 1;
  const operands = e.instruction.operands.slice(1);
  if (type.bits === 64) {
    const wide = operands.slice(0, wideOperands).map((operand) => e.read64(operand));
    const narrow = operands.slice(wideOperands).map((operand) => e.read32(operand));
    e.write64(
      e.operand(0),
      e.perLane64(wide, narrow, (w, n) => e.core("i64", name, ...w, ...n)),
    );
    return;
  }
  const values = operands.map((operand) => e.read32(operand));
  e.write32(
    e.operand(0),
    e.perLane32(values, (...lanes) => e.core("i32", name, ...lanes)),
  );
}

/** dp4a and dp2a: dot products of packed bytes, accumulated in 32 bits. */
export function dotProduct(e: LaneEmitter): void {
  const [first, second] = typesOf(e);
  if (first === undefined || second === undefined) return e.fail();
  const bytes = e.instruction.parts[0] === "dp4a" ? 4 : 2;
  const upper = has(e, "hi") ? 2 : 0;
  const byte = (x: Expr<"i32">, at: number, type: LaneType): Expr<"i32"> => {
    const moved = i32.shrU(x, 8 * at);
    return type.kind === "signed" ? i32.extend8S(moved) : i32.and(moved, 0xff);
  };
  const half = (x: Expr<"i32">, at: number, type: LaneType): Expr<"i32"> => {
    const moved = i32.shrU(x, 16 * at);
    return type.kind === "signed" ? i32.extend16S(moved) : i32.and(moved, 0xffff);
  };
  const values = [1, 2, 3].map((at) => e.read32(e.operand(at)));
  const result = e.perLane32(values, (a, b, c) => {
    let sum = c as Expr<"i32">;
    for (let at = 0; at < bytes; at++) {
      const left =
        bytes === 4 ? byte(a as Expr<"i32">, at, first) : half(a as Expr<"i32">, at, first);
      const right = byte(b as Expr<"i32">, bytes === 4 ? at : at + upper, second);
      sum = i32.add(sum, i32.mul(left, right));
    }
    return sum;
  });
  e.write32(e.operand(0), result);
}

/** sad: |a − b| + c. */
export function absoluteDifference(e: LaneEmitter): void {
  const type = laneType(typeOf(e).name) ?? e.fail();
  if (type.bits === 64) e.fail();
  const a = e.keep(readExtended(e, e.operand(1), type));
  const b = e.keep(readExtended(e, e.operand(2), type));
  const pick = type.kind === "signed" ? "signed" : "unsigned";
  const difference = i32x4.sub(NARROW_MIN_MAX.max[pick](a, b), NARROW_MIN_MAX.min[pick](a, b));
  e.write32(e.operand(0), cut(i32x4.add(difference, e.read32(e.operand(3))), type));
}
