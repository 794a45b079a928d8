/** Floating-point arithmetic: f32, f64 and the 16-bit formats (computed in f32, rounded once). */
import { type Expr, f32, f32x4, f64x2, i32x4, v128 } from "../../wasm/wasm.ts";
import { relaxedMadd } from "../../wasm/relaxed.ts";
import { ROUNDING } from "../core/float-math.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, splat64, type Vec, type Wide } from "./vectors.ts";
import { has, type LaneType, typeOf } from "./types.ts";

/** Subnormals become zeros of their sign. */
export function flush(e: LaneEmitter, value: Vec): Vec {
  const x = e.keep(value);
  const isTiny = i32x4.ltU(v128.and(x, splat32(0x7f800000)), splat32(0x00800000));
  return v128.bitselect(v128.and(x, splat32(0x80000000)), x, isTiny);
}

/** Reads an f32 operand, flushed if the instruction says so. */
function readF32(e: LaneEmitter, operand: Operand): Vec {
  const value = e.read32(operand);
  return has(e, "ftz") ? flush(e, value) : value;
}

function writeF32(e: LaneEmitter, value: Vec): void {
  let result = value;
  if (has(e, "ftz")) result = flush(e, result);
  if (has(e, "sat")) result = saturate(e, result);
  e.write32(e.operand(0), result);
}

/** Clamps to [0, 1]; NaN becomes 0. */
export function saturate(e: LaneEmitter, value: Vec): Vec {
  const x = e.keep(value);
  const clamped = f32x4.min(f32x4.max(x, f32x4.const(0, 0, 0, 0)), f32x4.const(1, 1, 1, 1));
  return v128.and(clamped, f32x4.eq(x, x));
}

/** Rounding suffix other than to nearest even. */
export function directedMode(e: LaneEmitter): number | undefined {
  for (const [name, mode] of Object.entries(ROUNDING)) if (has(e, name)) return mode;
  return undefined;
}

type Op1 = (a: Vec) => Vec;
type OpN = (...operands: Vec[]) => Vec;

/** Adds, multiplies and the like on every float type. `one` works on f32 lanes, `two` on f64. */
export function floatArithmetic(e: LaneEmitter): void {
  const type = typeOf(e);
  const family = e.instruction.parts[0] ?? "";
  const count = family === "fma" || family === "mad" ? 3 : 2;
  if (type.name === "f64") return doubleArithmetic(e, family);
  const mode = directedMode(e);
  if (type.name === "f32") {
    const operands = Array.from({ length: count }, (_, at) => readF32(e, e.operand(at + 1)));
    if (mode !== undefined) writeF32(e, directed(e, family, operands, mode));
    else writeF32(e, single(e, family)(...operands));
    return;
  }
  if (mode !== undefined) e.fail();
  halves(e, type, count, family === "fma" ? fmaHalf(e) : single(e, family));
}

function single(e: LaneEmitter, family: string): OpN {
  switch (family) {
    case "add":
      return f32x4.add as OpN;
    case "sub":
      return f32x4.sub as OpN;
    case "mul":
      return f32x4.mul as OpN;
    case "div":
      return f32x4.div as OpN;
    case "fma":
    case "mad":
      return (a, b, c) =>
        e.context.fused
          ? relaxedMadd.f32x4(a as Vec, b as Vec, c as Vec)
          : e.core("v128", "fma32", a as Vec, b as Vec, c as Vec);
    case "min":
    case "max":
      return (a, b) => minMax(e, family, a as Vec, b as Vec);
    default:
      return e.fail();
  }
}

/** In f32 the sum of a product of halves may round twice; through f64 it rounds once enough. */
function fmaHalf(e: LaneEmitter): OpN {
  return (a, b, c) => {
    const [x, y, z] = [e.keep(a as Vec), e.keep(b as Vec), e.keep(c as Vec)];
    return e.core("v128", "fma32", x, y, z);
  };
}

function directed(e: LaneEmitter, family: string, operands: readonly Vec[], mode: number): Vec {
  const kept = operands.map((operand) => e.keep(operand));
  let result: Vec = splat32(0);
  for (let lane = 0; lane < 4; lane++) {
    const [a, b, c] = kept.map((vector) => f32x4.extractLane(vector, lane)) as [
      Expr<"f32">,
      Expr<"f32">,
      Expr<"f32">,
    ];
    const fma = (x: Expr<"f32">, y: Expr<"f32">, z: Expr<"f32">): Expr<"f32"> =>
      e.core("f32", "fmaDirected", x, y, z, mode);
    let value: Expr<"f32">;
    switch (family) {
      case "fma":
      case "mad":
        value = fma(a, b, c);
        break;
      case "add":
        value = fma(a, f32.const(1), b);
        break;
      case "sub":
        value = fma(a, f32.const(1), f32.neg(b));
        break;
      case "mul":
        value = fma(a, b, f32.const(-0));
        break;
      default:
        return e.fail("this rounding");
    }
    result = lane === 0 ? f32x4.splat(value) : f32x4.replaceLane(result, lane, value);
  }
  return result;
}

/** One NaN loses against a number, unless the `.NaN` form asks for it to win. */
function minMax(e: LaneEmitter, family: string, left: Vec, right: Vec): Vec {
  const [a, b] = [e.keep(left), e.keep(right)];
  const both = family === "min" ? f32x4.min(a, b) : f32x4.max(a, b);
  if (has(e, "NaN")) return both;
  return v128.bitselect(b, v128.bitselect(a, both, f32x4.ne(b, b)), f32x4.ne(a, a));
}

/** 16-bit floats: one per lane, or two packed. */
function halves(e: LaneEmitter, type: LaneType, count: number, op: OpN): void {
  const isBf16 = type.name.startsWith("bf16");
  const toF32 = (x: Vec): Vec => (isBf16 ? i32x4.shl(x, 16) : e.core("v128", "f16ToF32", x));
  const fromF32 = (x: Vec): Vec => {
    let value = has(e, "relu") ? f32x4.max(x, f32x4.const(0, 0, 0, 0)) : x;
    if (has(e, "sat")) value = saturate(e, value);
    return e.core("v128", isBf16 ? "f32ToBf16" : "f32ToF16", value);
  };
  const operands = Array.from({ length: count }, (_, at) => e.keep(e.read32(e.operand(at + 1))));
  const low = fromF32(op(...operands.map((x) => toF32(v128.and(x, splat32(0xffff))))));
  if (!type.name.endsWith("x2")) return e.write32(e.operand(0), low);
  const kept = e.keep(low);
  const high = fromF32(op(...operands.map((x) => toF32(i32x4.shrU(x, 16)))));
  e.write32(e.operand(0), v128.or(kept, i32x4.shl(high, 16)));
}

function doubleArithmetic(e: LaneEmitter, family: string): void {
  if (directedMode(e) !== undefined) e.fail("this rounding of f64");
  const count = family === "fma" || family === "mad" ? 3 : 2;
  const operands = Array.from({ length: count }, (_, at) => e.read64(e.operand(at + 1)));
  if (count === 3) {
    e.write64(e.operand(0), fmaF64(e, operands));
    return;
  }
  const op = { add: f64x2.add, sub: f64x2.sub, mul: f64x2.mul, div: f64x2.div }[family as "add"];
  const value = e.mapWide(operands, (a, b) => {
    if (op !== undefined) return op(a as Vec, b as Vec);
    const [x, y] = [e.keep(a as Vec), e.keep(b as Vec)];
    const both = family === "min" ? f64x2.min(x, y) : f64x2.max(x, y);
    return v128.bitselect(y, v128.bitselect(x, both, f64x2.ne(y, y)), f64x2.ne(x, x));
  });
  e.write64(e.operand(0), value);
}

function fmaF64(e: LaneEmitter, operands: readonly Wide[]): Wide {
  if (e.context.fused) {
    return e.mapWide(operands, (a, b, c) => relaxedMadd.f64x2(a as Vec, b as Vec, c as Vec));
  }
  const kept = operands.map(({ low, high }) => [e.keep(low), e.keep(high)] as const);
  const lane = (index: number): Expr<"f64"> =>
    e.core(
      "f64",
      "fmaF64",
      ...kept.map(([low, high]) => f64x2.extractLane(index < 2 ? low : high, index & 1)),
    );
  return {
    low: f64x2.replaceLane(f64x2.splat(lane(0)), 1, lane(1)),
    high: f64x2.replaceLane(f64x2.splat(lane(2)), 1, lane(3)),
  };
}

/** abs, neg: signs only, so NaN stays as it is. */
export function floatSign(e: LaneEmitter): void {
  const type = typeOf(e);
  const isAbs = e.instruction.parts[0] === "abs";
  if (type.name === "f64") {
    const value = e.mapWide([e.read64(e.operand(1))], (x) =>
      isAbs ? f64x2.abs(x as Vec) : f64x2.neg(x as Vec),
    );
    return e.write64(e.operand(0), value);
  }
  if (type.name === "f32") {
    const x = readF32(e, e.operand(1));
    return e.write32(e.operand(0), isAbs ? f32x4.abs(x) : f32x4.neg(x));
  }
  const signs = splat32(type.name.endsWith("x2") ? 0x80008000 : 0x8000);
  const x = e.read32(e.operand(1));
  e.write32(e.operand(0), isAbs ? v128.andNot(x, signs) : v128.xor(x, signs));
}

/** copysign a, b: the sign of a on b. */
export function copySign(e: LaneEmitter): void {
  const type = typeOf(e);
  if (type.name === "f64") {
    const sign = splat64(1n << 63n);
    const operands = [e.read64(e.operand(1)), e.read64(e.operand(2))];
    const value = e.mapWide(operands, (a, b) => v128.bitselect(a as Vec, b as Vec, sign));
    return e.write64(e.operand(0), value);
  }
  const sign = splat32(0x80000000);
  e.write32(e.operand(0), v128.bitselect(e.read32(e.operand(1)), e.read32(e.operand(2)), sign));
}

const ONE = f32x4.const(1, 1, 1, 1);

/** Roots, reciprocals and transcendental functions of one operand. */
export function floatFunction(e: LaneEmitter): void {
  const type = typeOf(e);
  const family = e.instruction.parts[0] ?? "";
  if (directedMode(e) !== undefined) e.fail("this rounding");
  if (type.name === "f64") {
    const one = f64x2.const(1, 1);
    const op: Record<string, Op1> = {
      sqrt: f64x2.sqrt,
      rcp: (x) => f64x2.div(one, x),
      rsqrt: (x) => f64x2.div(one, f64x2.sqrt(x)),
    };
    const chosen = op[family] ?? e.fail();
    return e.write64(
      e.operand(0),
      e.mapWide([e.read64(e.operand(1))], (x) => chosen(x as Vec)),
    );
  }
  if (type.name === "f16" || type.name === "f16x2" || type.name.startsWith("bf16")) {
    if (family !== "ex2" && family !== "tanh") e.fail();
    return halves(e, type, 1, (x) => e.core("v128", family, x as Vec));
  }
  const x = readF32(e, e.operand(1));
  switch (family) {
    case "sqrt":
      return writeF32(e, f32x4.sqrt(x));
    case "rcp":
      return writeF32(e, f32x4.div(ONE, x));
    case "rsqrt":
    case "ex2":
    case "lg2":
      return writeF32(e, e.core("v128", family, x));
    case "sin":
    case "cos":
    case "tanh": {
      const kept = e.keep(x);
      let result: Vec = splat32(0);
      for (let lane = 0; lane < 4; lane++) {
        const value = e.core("f32", family, f32x4.extractLane(kept, lane));
        result = lane === 0 ? f32x4.splat(value) : f32x4.replaceLane(result, lane, value);
      }
      return writeF32(e, result);
    }
    default:
      return e.fail();
  }
}

/** testp: classes of floats. */
export function testFloat(e: LaneEmitter): void {
  const property = e.instruction.parts[1] ?? "";
  if (typeOf(e).name !== "f32") e.fail("testp of f64");
  const magnitude = e.keep(v128.and(e.read32(e.operand(1)), splat32(0x7fffffff)));
  const infinity = splat32(0x7f800000);
  const smallest = splat32(0x00800000);
  const tests: Record<string, Vec> = {
    finite: i32x4.ltU(magnitude, infinity),
    infinite: i32x4.eq(magnitude, infinity),
    number: i32x4.leU(magnitude, infinity),
    notanumber: i32x4.gtU(magnitude, infinity),
    normal: v128.and(i32x4.geU(magnitude, smallest), i32x4.ltU(magnitude, infinity)),
    subnormal: v128.and(i32x4.ltU(magnitude, smallest), i32x4.ne(magnitude, splat32(0))),
  };
  e.write32(e.operand(0), tests[property] ?? e.fail());
}

/** Lane masks of a float comparison; the `u` forms are true for NaN, the plain ones false. */
export function compareFloats(e: LaneEmitter, name: string, type: LaneType): Vec | Wide {
  const unordered = name.length === 3 && name.endsWith("u");
  if (type.name === "f64") {
    const [a, b] = [
      e.read64(e.operand(operandOffset(e))),
      e.read64(e.operand(operandOffset(e) + 1)),
    ];
    return e.mapWide([a, b], (x, y) =>
      floatTest(f64x2, name, unordered, e.keep(x as Vec), e.keep(y as Vec), e),
    );
  }
  let a = e.read32(e.operand(operandOffset(e)));
  let b = e.read32(e.operand(operandOffset(e) + 1));
  if (type.bits === 16) {
    const toF32 = (x: Vec): Vec =>
      type.name === "bf16"
        ? i32x4.shl(x, 16)
        : e.core("v128", "f16ToF32", v128.and(x, splat32(0xffff)));
    [a, b] = [toF32(a), toF32(b)];
  } else if (type.name !== "f32") e.fail("packed comparisons");
  else if (has(e, "ftz")) [a, b] = [flush(e, a), flush(e, b)];
  return floatTest(f32x4, name, unordered, e.keep(a), e.keep(b), e);
}

function operandOffset(e: LaneEmitter): number {
  return e.instruction.parts[0] === "slct" ? 3 : 1;
}

function floatTest(
  lanes: Pick<typeof f32x4, "eq" | "ne" | "lt" | "le" | "gt" | "ge">,
  name: string,
  unordered: boolean,
  a: Vec,
  b: Vec,
  e: LaneEmitter,
): Vec {
  const isNumber = (): Vec => v128.and(lanes.eq(a, a), lanes.eq(b, b));
  switch (name) {
    case "num":
      return isNumber();
    case "nan":
      return v128.not(isNumber());
    case "ne":
      return v128.and(lanes.ne(a, b), isNumber());
    case "neu":
      return lanes.ne(a, b);
    default:
  }
  if (!unordered) {
    const op = { eq: lanes.eq, lt: lanes.lt, le: lanes.le, gt: lanes.gt, ge: lanes.ge }[
      name as "eq"
    ];
    return op === undefined ? e.fail() : op(a, b);
  }
  // Unordered: whatever is not ordered the opposite way.
  switch (name) {
    case "equ":
      return v128.or(lanes.eq(a, b), v128.not(isNumber()));
    case "ltu":
      return v128.not(lanes.ge(a, b));
    case "leu":
      return v128.not(lanes.gt(a, b));
    case "gtu":
      return v128.not(lanes.le(a, b));
    case "geu":
      return v128.not(lanes.lt(a, b));
    default:
      return e.fail();
  }
}
