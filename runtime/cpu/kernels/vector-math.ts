import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";
import {
  type Arg,
  type Expr,
  f32,
  f32x4,
  type FunctionBuilder,
  i32x4,
  i8x16,
  type Local,
  v128,
} from "../../wasm/wasm.ts";

type Vec = Expr<"v128">;

/** Byte lane numbers of a shuffle that moves whole 32-bit lanes; 0-3 left, 4-7 right. */
function lanes32(...lanes: readonly number[]): number[] {
  return lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
}

/** 32-bit lanes picked from two vectors: 0-3 from `left`, 4-7 from `right`. */
export function pick(
  left: Vec,
  right: Vec,
  ...lanes: readonly [number, number, number, number]
): Vec {
  return i8x16.shuffle(left, right, lanes32(...lanes));
}

/** (l0 + l2) + (l1 + l3): the one order in which four partial sums are ever added. */
export function horizontalSum(f: FunctionBuilder, value: Vec): Expr<"f32"> {
  const whole = f.let(value);
  const pairs = f.let(f32x4.add(whole, pick(whole, whole, 2, 3, 2, 3)));
  return f32.add(f32x4.extractLane(pairs, 0), f32x4.extractLane(pairs, 1));
}

/** The `horizontalSum` of four vectors at once, one in each lane, bit for bit the same. */
export function horizontalSums(
  f: FunctionBuilder,
  [a, b, c, d]: readonly [Vec, Vec, Vec, Vec],
): Vec {
  const sum2 = (left: Vec, right: Vec): Vec => {
    const [x, y] = [f.let(left), f.let(right)];
    return f.let(f32x4.add(pick(x, y, 0, 1, 4, 5), pick(x, y, 2, 3, 6, 7)));
  };
  const [ab, cd] = [sum2(a, b), sum2(c, d)];
  return f32x4.add(pick(ab, cd, 0, 2, 4, 6), pick(ab, cd, 1, 3, 5, 7));
}

/**
 * e^x in each lane, within 2 units in the last place; 0 below the smallest f32, infinity above the
 * largest, NaN for NaN. Reduction by ln 2 in two parts (Cody and Waite), then the Taylor polynomial of
 * degree 7, whose remainder on [-ln2/2, ln2/2] is 5e-9.
 */
export function exp(f: FunctionBuilder, value: Vec): Local<"v128"> {
  const splat = (constant: number): Vec => f32x4.const(constant, constant, constant, constant);
  // The clamps keep the exponent arithmetic in range; past them the result is 0 or infinity anyway.
  // In this operand order pmin and pmax keep NaN.
  const x = f.let(f32x4.pmax(f32x4.pmin(value, splat(89)), splat(-104)));
  const n = f.let(f32x4.nearest(f32x4.mul(x, splat(Math.LOG2E))));
  // n·ln2Hi is exact: 9 bits times 13.
  const ln2Hi = 0.693359375;
  const r = f.let(
    f32x4.sub(f32x4.sub(x, f32x4.mul(n, splat(ln2Hi))), f32x4.mul(n, splat(Math.LN2 - ln2Hi))),
  );
  const coefficients = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2];
  const p = f.let(splat(coefficients[0] ?? 0));
  for (const c of coefficients.slice(1)) f.set(p, f32x4.add(f32x4.mul(p, r), splat(c)));
  f.set(p, f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), splat(1)));
  // 2^n in two factors: one alone leaves the normal range where the result is subnormal.
  const exponent = f.let(i32x4.truncSatF32x4S(n));
  const half = f.let(i32x4.shrS(exponent, 1));
  const power = (e: Vec): Vec => i32x4.shl(i32x4.add(e, i32x4.const(127, 127, 127, 127)), 23);
  return f.let(f32x4.mul(f32x4.mul(p, power(half)), power(i32x4.sub(exponent, half))));
}

/** x · sigmoid(x), as x / (1 + e^-x). */
export function silu(f: FunctionBuilder, value: Vec): Vec {
  const x = f.let(value);
  const one = f32x4.const(1, 1, 1, 1);
  return f32x4.div(x, f32x4.add(one, exp(f, f32x4.neg(x))));
}

/**
 * Four elements of a float tensor at an address, widened to f32 exactly; NaN and infinities keep
 * their meaning.
 */
export function loadWide(
  f: FunctionBuilder,
  dtype: FloatDType,
  address: Arg<"i32">,
  offset = 0,
): Vec {
  switch (dtype) {
    case "f32":
      return v128.load(address, offset);
    case "bf16":
      return i32x4.shl(v128.load16x4U(address, offset), 16);
    case "f16":
      return widenHalf(f, v128.load16x4U(address, offset));
    default:
      return dtype satisfies never;
  }
}

/** One element in lane 0 (and anything in the others). */
export function loadWideScalar(f: FunctionBuilder, dtype: FloatDType, address: Arg<"i32">): Vec {
  switch (dtype) {
    case "f32":
      return v128.load32Zero(address);
    case "bf16":
      return i32x4.shl(v128.load16Splat(address), 16);
    case "f16":
      return widenHalf(f, i32x4.shrU(v128.load16Splat(address), 16));
    default:
      return dtype satisfies never;
  }
}

/** f16 bits in the low halves of the lanes → f32. */
function widenHalf(f: FunctionBuilder, bits: Vec): Vec {
  const splat = (constant: number): Vec => i32x4.const(constant, constant, constant, constant);
  const half = f.let(bits);
  const magnitude = f.let(i32x4.shl(v128.and(half, splat(0x7fff)), 13));
  // Read as f32 the exponent is 112 too small; the multiplication mends that, subnormals included.
  const scaled = f32x4.mul(magnitude, f32x4.splat(2 ** 112));
  const special = i32x4.geU(magnitude, splat(0x7c00 << 13));
  const value = v128.or(scaled, v128.and(special, splat(0x7f800000)));
  return v128.or(value, i32x4.shl(v128.and(half, splat(0x8000)), 16));
}

/**
 * Stores the four f32 lanes at an address as another float type, rounded to nearest even; beyond the
 * largest f16 is infinity.
 */
export function storeNarrow(
  f: FunctionBuilder,
  dtype: FloatDType,
  address: Arg<"i32">,
  value: Vec,
): void {
  if (dtype === "f32") f.do(v128.store(address, value));
  else f.do(v128.store64Lane(address, packHalves(narrowBits(f, dtype, value)), 0));
}

/** Stores lane 0 only. */
export function storeNarrowScalar(
  f: FunctionBuilder,
  dtype: FloatDType,
  address: Arg<"i32">,
  value: Vec,
): void {
  if (dtype === "f32") f.do(v128.store32Lane(address, value, 0));
  else f.do(v128.store16Lane(address, narrowBits(f, dtype, value), 0));
}

/** The low halves of the four lanes, in the low 8 bytes. */
function packHalves(bits: Vec): Vec {
  return i8x16.shuffle(bits, bits, [0, 1, 4, 5, 8, 9, 12, 13, 0, 1, 4, 5, 8, 9, 12, 13]);
}

/** 16-bit patterns of f32 lanes, in the low halves. */
function narrowBits(f: FunctionBuilder, dtype: Exclude<FloatDType, "f32">, value: Vec): Vec {
  const splat = (constant: number): Vec => i32x4.const(constant, constant, constant, constant);
  const bits = f.let(value);
  const isNotANumber = f32x4.ne(bits, bits);
  if (dtype === "bf16") {
    const odd = v128.and(i32x4.shrU(bits, 16), splat(1));
    const rounded = i32x4.shrU(i32x4.add(bits, i32x4.add(odd, splat(0x7fff))), 16);
    const quiet = v128.or(i32x4.shrU(bits, 16), splat(0x40));
    return v128.bitselect(quiet, rounded, isNotANumber);
  }
  const sign = f.let(v128.and(i32x4.shrU(bits, 16), splat(0x8000)));
  const magnitude = f.let(v128.and(bits, splat(0x7fffffff)));
  // Normal results: re-bias the exponent and round the 13 dropped bits. A carry goes where it should.
  const odd = v128.and(i32x4.shrU(magnitude, 13), splat(1));
  const rebiased = i32x4.sub(i32x4.add(i32x4.add(magnitude, splat(0xfff)), odd), splat(112 << 23));
  const normal = i32x4.minU(i32x4.shrU(rebiased, 13), splat(0x7c00));
  // Subnormal results: adding 0.5 lines up the last place of the f32 with that of the f16.
  const subnormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), splat(0x3f000000));
  const isSubnormal = i32x4.ltU(magnitude, splat(113 << 23));
  const finite = v128.bitselect(subnormal, normal, isSubnormal);
  return v128.or(sign, v128.bitselect(splat(0x7e00), finite, isNotANumber));
}

/** Bytes that kernels may read past the last element of any tensor: one vector. */
export const readAhead = 16;

/** Byte size of `count` elements rounded up to whole vectors. */
export function paddedBytes(dtype: FloatDType, count: number): number {
  return Math.ceil((count * byteSize(dtype)) / 16) * 16;
}

/** Ones in the first `count` 32-bit lanes. */
export function laneMask(f: FunctionBuilder, count: Expr<"i32">): Local<"v128"> {
  return f.let(i32x4.gtS(i32x4.splat(count), i32x4.const(0, 1, 2, 3)));
}
