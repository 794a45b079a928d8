/** Logic, shifts, permutations, moves and selections. */
import { type Expr, i8x16, i32, i32x4, i64, i64x2, select, v128 } from "../../wasm/wasm.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { highWords, lowWords, splat32, splat64, type Vec, type Wide } from "./vectors.ts";
import { cut, has, readExtended, typeOf, typesOf, widen } from "./types.ts";

export function logic(e: LaneEmitter): void {
  const type = typeOf(e);
  const op = { and: v128.and, or: v128.or, xor: v128.xor }[e.instruction.parts[0] as "and"];
  if (type.bits === 64) {
    const operands = [e.read64(e.operand(1)), e.read64(e.operand(2))];
    e.write64(
      e.operand(0),
      e.mapWide(operands, (a, b) => op(a as Vec, b as Vec)),
    );
    return;
  }
  e.write32(e.operand(0), op(readBits(e, 1), readBits(e, 2)));
}

/** A predicate literal is 0 or 1; lanes hold 0 or all ones. */
function readBits(e: LaneEmitter, index: number): Vec {
  const operand = e.operand(index);
  const type = typeOf(e);
  if (type.kind === "predicate") return readPredicate(e, operand);
  return readExtended(e, operand, type);
}

function readPredicate(e: LaneEmitter, operand: Operand): Vec {
  if (operand.kind === "int") return splat32(operand.value === 0n ? 0 : 0xffffffff);
  return e.read32(operand);
}

export function not(e: LaneEmitter): void {
  const type = typeOf(e);
  const isLogical = e.instruction.parts[0] === "cnot";
  if (type.bits === 64) {
    const value = e.mapWide([e.read64(e.operand(1))], (x) =>
      isLogical ? v128.and(i64x2.eq(x as Vec, splat64(0n)), splat64(1n)) : v128.not(x as Vec),
    );
    e.write64(e.operand(0), value);
    return;
  }
  const x = readBits(e, 1);
  if (isLogical) e.write32(e.operand(0), v128.and(i32x4.eq(x, splat32(0)), splat32(1)));
  else
    e.write32(
      e.operand(0),
      cut(v128.not(x), type.kind === "predicate" ? { ...type, bits: 32 } : type),
    );
}

/** shl and shr: counts past the width give 0, or the sign for arithmetic right shifts. */
export function shift(e: LaneEmitter): void {
  const type = typeOf(e);
  const left = e.instruction.parts[0] === "shl";
  const arithmetic = !left && type.kind === "signed";
  const [to, a, amount] = [e.operand(0), e.operand(1), e.operand(2)];
  if (amount.kind === "int") {
    const count = Number(BigInt.asUintN(32, amount.value));
    const out = count >= type.bits;
    if (type.bits === 64) {
      const x = e.read64(a);
      if (out && !arithmetic) return e.write64(to, { low: splat64(0n), high: splat64(0n) });
      const op = left ? i64x2.shl : arithmetic ? i64x2.shrS : i64x2.shrU;
      e.write64(
        to,
        e.mapWide([x], (half) => op(half as Vec, Math.min(count, 63))),
      );
      return;
    }
    const x = readExtended(e, a, type);
    if (out && !arithmetic) return e.write32(to, splat32(0));
    const op = left ? i32x4.shl : arithmetic ? i32x4.shrS : i32x4.shrU;
    e.write32(to, cut(op(x, Math.min(count, 31)), type));
    return;
  }
  const counts = e.read32(amount);
  if (type.bits === 64) {
    const value = e.perLane64([e.read64(a)], [counts], ([x], [n]) => {
      const [word, count] = [x as Expr<"i64">, e.keep32(n as Expr<"i32">)];
      const op = left ? i64.shl : arithmetic ? i64.shrS : i64.shrU;
      const inside = i64.extendI32U(select(i32.gtU(count, 63), i32.const(63), count));
      const shifted = op(word, inside);
      if (arithmetic) return e.keep64(shifted);
      return e.keep64(select(i32.gtU(count, 63), i64.const(0n), shifted));
    });
    e.write64(to, value);
    return;
  }
  const last = type.bits - 1;
  const value = e.perLane32([readExtended(e, a, type), counts], (x, n) => {
    const [word, count] = [x as Expr<"i32">, e.keep32(n as Expr<"i32">)];
    const op = left ? i32.shl : arithmetic ? i32.shrS : i32.shrU;
    const shifted = op(word, select(i32.gtU(count, last), i32.const(last), count));
    if (arithmetic) return e.keep32(shifted);
    return e.keep32(select(i32.gtU(count, last), i32.const(0), shifted));
  });
  e.write32(to, cut(value, type));
}

/** shf: a 32-bit window of the 64-bit value b:a. */
export function funnelShift(e: LaneEmitter): void {
  const left = has(e, "l");
  const wraps = has(e, "wrap");
  const operands = [1, 2, 3].map((at) => e.read32(e.operand(at)));
  const value = e.perLane32(operands, (a, b, c) => {
    const both = i64.or(
      i64.shl(i64.extendI32U(b as Expr<"i32">), 32n),
      i64.extendI32U(a as Expr<"i32">),
    );
    const count = c as Expr<"i32">;
    const inside = wraps ? i32.and(count, 31) : select(i32.gtU(count, 32), i32.const(32), count);
    const by = i64.extendI32U(inside);
    return i32.wrapI64(left ? i64.shrU(i64.shl(both, by), 32n) : i64.shrU(both, by));
  });
  e.write32(e.operand(0), value);
}

export function permute(e: LaneEmitter): void {
  if (e.instruction.parts.length > 2) e.fail("a prmt mode");
  const [a, b] = [e.read32(e.operand(1)), e.read32(e.operand(2))];
  const selector = e.operand(3);
  if (selector.kind === "int" && (selector.value & 0x8888n) === 0n) {
    const lanes: number[] = [];
    for (let lane = 0; lane < 4; lane++) {
      for (let byte = 0; byte < 4; byte++) {
        const from = Number((selector.value >> BigInt(4 * byte)) & 7n);
        lanes.push(from < 4 ? 4 * lane + from : 16 + 4 * lane + from - 4);
      }
    }
    e.write32(e.operand(0), i8x16.shuffle(a, b, lanes));
    return;
  }
  const value = e.perLane32([a, b, e.read32(selector)], (x, y, z) =>
    e.core("i32", "prmt", x as Expr<"i32">, y as Expr<"i32">, z as Expr<"i32">),
  );
  e.write32(e.operand(0), value);
}

/** lop3: any function of three bits, given as its truth table. */
export function logic3(e: LaneEmitter): void {
  const table = e.operand(4);
  if (table.kind !== "int" || e.instruction.parts.length > 2) return e.fail("this form of lop3");
  const inputs = [1, 2, 3].map((at) => e.keep(e.read32(e.operand(at))));
  let result: Vec | undefined;
  for (let row = 0; row < 8; row++) {
    if (((Number(table.value) >> row) & 1) === 0) continue;
    const [a, b, c] = inputs.map((input, at) =>
      ((row >> (2 - at)) & 1) === 1 ? input : v128.not(input),
    ) as [Vec, Vec, Vec];
    const term = v128.and(v128.and(a, b), c);
    result = result === undefined ? term : v128.or(result, term);
  }
  e.write32(e.operand(0), result ?? splat32(0));
}

/** mov, including the packing and unpacking of vectors. */
export function move(e: LaneEmitter): void {
  const type = typeOf(e);
  const [to, from] = [e.operand(0), e.operand(1)];
  if (to.kind === "vector") return unpack(e, to.items, from);
  if (from.kind === "vector") return pack(e, to, from.items);
  if (type.kind === "predicate") e.write32(to, readPredicate(e, from));
  else if (type.bits === 64) e.write64(to, e.read64(from));
  else e.write32(to, cut(e.read32(from), type));
}

function pack(e: LaneEmitter, to: Operand, items: readonly Operand[]): void {
  const type = typeOf(e);
  const pieces = items.map((item) => e.read32(item));
  const bits = type.bits / items.length;
  if (type.bits <= 32) {
    const masked = pieces.map((piece, at) =>
      i32x4.shl(v128.and(piece, splat32(2 ** bits - 1)), at * bits),
    );
    e.write32(
      to,
      masked.reduce((a, b) => v128.or(a, b)),
    );
    return;
  }
  let words = pieces;
  if (bits === 16) {
    const join = (low: Vec | undefined, high: Vec | undefined): Vec =>
      v128.or(v128.and(low ?? splat32(0), splat32(0xffff)), i32x4.shl(high ?? splat32(0), 16));
    words = [join(pieces[0], pieces[1]), join(pieces[2], pieces[3])];
  } else if (bits !== 32) e.fail("packing bytes into 64 bits");
  const [low, high] = words.map((word) => e.keep(word));
  if (low === undefined || high === undefined) return e.fail("a vector of this length");
  e.write64(to, {
    low: i8x16.shuffle(low, high, [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]),
    high: i8x16.shuffle(low, high, [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]),
  });
}

function unpack(e: LaneEmitter, items: readonly Operand[], from: Operand): void {
  const type = typeOf(e);
  const bits = type.bits / items.length;
  let words: Vec[];
  if (type.bits === 64) {
    const wide = e.read64(from);
    const kept = { low: e.keep(wide.low), high: e.keep(wide.high) };
    words = [e.keep(lowWords(kept)), e.keep(highWords(kept))];
  } else words = [e.keep(e.read32(from))];
  for (const [at, item] of items.entries()) {
    const word = words[Math.floor((at * bits) / 32)] ?? e.fail("a vector of this length");
    const moved = i32x4.shrU(word, (at * bits) % 32);
    e.write32(item, bits === 32 ? moved : v128.and(moved, splat32(2 ** bits - 1)));
  }
}

/** selp and slct. */
export function choose(e: LaneEmitter): void {
  const isSlct = e.instruction.parts[0] === "slct";
  const types = typesOf(e);
  const type = (isSlct ? types[0] : types.at(-1)) ?? e.fail("it names no type");
  let condition: Vec;
  if (!isSlct) condition = readPredicate(e, e.operand(3));
  else if (types[1]?.name === "s32") condition = i32x4.geS(e.read32(e.operand(3)), splat32(0));
  else return e.fail("slct by a float");
  if (type.bits === 64) {
    const mask = widen(e.keep(condition));
    const operands = [e.read64(e.operand(1)), e.read64(e.operand(2)), mask];
    e.write64(
      e.operand(0),
      e.mapWide(operands, (a, b, m) => v128.bitselect(a as Vec, b as Vec, m as Vec)),
    );
    return;
  }
  const [a, b] = [readExtended(e, e.operand(1), type), readExtended(e, e.operand(2), type)];
  e.write32(e.operand(0), v128.bitselect(a, b, condition));
}

/** Address conversions: the tags of generic addresses come and go. */
export function convertAddress(e: LaneEmitter, tags: Readonly<Record<string, number>>): void {
  const { parts } = e.instruction;
  const toSpace = parts[1] === "to";
  const space = parts[toSpace ? 2 : 1]?.split("::")[0] ?? "";
  const wide: Wide = e.read64(e.operand(1));
  const tag = tags[space];
  if (space === "global") return e.write64(e.operand(0), wide);
  if (tag === undefined) return e.fail();
  const low = splat64(0xffffffffn);
  const value = e.mapWide([wide], (half) => {
    const bits = v128.and(half as Vec, low);
    return toSpace ? bits : v128.or(bits, splat64(BigInt(tag) << 32n));
  });
  e.write64(e.operand(0), value);
}

/** isspacep: which space a generic address points into. */
export function isInSpace(e: LaneEmitter, tags: Readonly<Record<string, number>>): void {
  const space = e.instruction.parts[1]?.split("::")[0] ?? "";
  const tag = tags[space] ?? e.fail();
  const wide = e.read64(e.operand(1));
  const kept = { low: e.keep(wide.low), high: e.keep(wide.high) };
  e.write32(e.operand(0), i32x4.eq(highWords(kept), splat32(tag)));
}
