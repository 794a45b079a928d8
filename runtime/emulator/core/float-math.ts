/** fma with one rounding, directed roundings, and the approximate functions of PTX. */
import { relaxedMadd } from "../../wasm/relaxed.ts";
import type { Expr, FunctionBuilder, ModuleBuilder } from "../../wasm/wasm.ts";
import {
  call,
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

type Vec = Expr<"v128">;
const HIGH_HALF = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
const LOW_HALVES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const f64Of = (value: number): Vec => f64x2.const(value, value);

/** Rounding modes other than to nearest even, as the directed functions take them. */
export const ROUNDING = { rz: 0, rm: 1, rp: 2 } as const;

/** Adds the functions to the module; `fused` says whether relaxed_madd rounds once here. */
export function addFloatMath(module: ModuleBuilder, fused: boolean): void {
  addFma(module, fused);
  addDirected(module);
  addViaF64(module, "rsqrt", (_f, x) => f64x2.div(f64Of(1), f64x2.sqrt(x)));
  addViaF64(module, "ex2", exp2);
  addViaF64(module, "lg2", log2);
}

function addFma(module: ModuleBuilder, fused: boolean): void {
  const f = module.func("fma32", ["v128", "v128", "v128"], ["v128"]);
  const [a, b, c] = [f.param("v128", 0), f.param("v128", 1), f.param("v128", 2)];
  if (fused) {
    f.result(relaxedMadd.f32x4(a, b, c));
    return;
  }
  // In f64 the product is exact; the sum is rounded to odd, after which rounding to f32 gives what
  // one rounding would have given (Boldo and Melquiond, "Emulation of FMA", 2008).
  const half = (pick: (x: Vec) => Vec): Vec => {
    const product = f.let(f64x2.mul(pick(a), pick(b)));
    const addend = f.let(pick(c));
    const sum = f.let(f64x2.add(product, addend));
    const back = f.let(f64x2.sub(sum, product));
    const error = f.let(
      f64x2.add(f64x2.sub(product, f64x2.sub(sum, back)), f64x2.sub(addend, back)),
    );
    const inexact = v128.or(f64x2.lt(error, f64Of(0)), f64x2.gt(error, f64Of(0)));
    const even = i64x2.eq(v128.and(sum, i64x2.const(1n, 1n)), i64x2.const(0n, 0n));
    // Away from zero when the error has the sign of the sum, towards zero otherwise: ±1 on the bits.
    const step = v128.or(i64x2.shrS(v128.xor(sum, error), 63), i64x2.const(1n, 1n));
    return f32x4.demoteF64x2Zero(i64x2.add(sum, v128.and(step, v128.and(inexact, even))));
  };
  const low = f.let(half((x) => f64x2.promoteLowF32x4(x)));
  const high = half((x) => f64x2.promoteLowF32x4(i8x16.shuffle(x, x, HIGH_HALF)));
  f.result(i8x16.shuffle(low, high, LOW_HALVES));
}

function addDirected(module: ModuleBuilder): void {
  /** Moves an f32 to its neighbour: up when `up` is 1, down when 0. */
  const neighbour = module.func("neighbour", ["f32", "i32"], ["f32"]);
  {
    const f = neighbour;
    const bits = f.let(i32.reinterpretF32(f.param("f32", 0)));
    const up = f.param("i32", 1);
    const isZero = i32.eqz(i32.and(bits, 0x7fffffff));
    const tiny = i32.or(1, i32.shl(i32.eqz(up), 31));
    const outward = i32.eq(i32.shrU(bits, 31), i32.eqz(up));
    const stepped = i32.add(bits, select(outward, i32.const(1), i32.const(-1)));
    f.result(f32.reinterpretI32(select(isZero, tiny, stepped)));
  }
  /** `sum + error`, exact, to f32 in a directed mode. */
  const directed = (
    f: FunctionBuilder,
    sum: Expr<"f64">,
    error: Expr<"f64">,
    mode: Expr<"i32">,
  ): Expr<"f32"> => {
    const rounded = f.let(f32.demoteF64(sum));
    const back = f.let(f64.promoteF32(rounded));
    const isAbove = f.let(i32.or(f64.gt(back, sum), i32.and(f64.eq(back, sum), f64.lt(error, 0))));
    const isBelow = f.let(i32.or(f64.lt(back, sum), i32.and(f64.eq(back, sum), f64.gt(error, 0))));
    const isPositive = i32.or(f64.gt(sum, 0), i32.and(f64.eq(sum, 0), f64.gt(error, 0)));
    // Towards zero is down for positive values and up for negative ones.
    const down = f.let(select(i32.eqz(mode), isPositive, i32.eq(mode, ROUNDING.rm)));
    const wrong = select(down, isAbove, isBelow);
    return select(wrong, call("f32", neighbour, rounded, i32.eqz(down)), rounded);
  };
  {
    const f = module.func("fmaDirected", ["f32", "f32", "f32", "i32"], ["f32"]);
    const [a, b, c] = [f.param("f32", 0), f.param("f32", 1), f.param("f32", 2)];
    const product = f.let(f64.mul(f64.promoteF32(a), f64.promoteF32(b)));
    const addend = f.let(f64.promoteF32(c));
    const sum = f.let(f64.add(product, addend));
    const back = f.let(f64.sub(sum, product));
    const error = f.let(f64.add(f64.sub(product, f64.sub(sum, back)), f64.sub(addend, back)));
    f.result(directed(f, sum, error, f.param("i32", 3)));
  }
  {
    const f = module.func("roundDirected", ["f64", "i32"], ["f32"]);
    const x = f.param("f64", 0);
    f.result(directed(f, x, f64.const(0), f.param("i32", 1)));
  }
  for (const signed of [true, false]) {
    const f = module.func(signed ? "mulHighS64" : "mulHighU64", ["i64", "i64"], ["i64"]);
    const [a, b] = [f.param("i64", 0), f.param("i64", 1)];
    const mask = 0xffffffffn;
    const [al, ah] = [f.let(i64.and(a, mask)), f.let(i64.shrU(a, 32n))];
    const [bl, bh] = [f.let(i64.and(b, mask)), f.let(i64.shrU(b, 32n))];
    const middle = f.let(i64.add(i64.mul(ah, bl), i64.shrU(i64.mul(al, bl), 32n)));
    const cross = i64.add(i64.mul(al, bh), i64.and(middle, mask));
    const high = i64.add(i64.add(i64.mul(ah, bh), i64.shrU(middle, 32n)), i64.shrU(cross, 32n));
    if (!signed) f.result(high);
    else {
      const fix = i64.add(i64.and(i64.shrS(a, 63n), b), i64.and(i64.shrS(b, 63n), a));
      f.result(i64.sub(high, fix));
    }
  }
}

/** A function of four f32 computed in f64 and rounded once: within an f32 ulp of the true value. */
function addViaF64(
  module: ModuleBuilder,
  name: string,
  body: (f: FunctionBuilder, x: Vec) => Vec,
): void {
  const f = module.func(name, ["v128"], ["v128"]);
  const x = f.param("v128", 0);
  const low = f.let(f32x4.demoteF64x2Zero(body(f, f.let(f64x2.promoteLowF32x4(x)))));
  const upper = f.let(f64x2.promoteLowF32x4(i8x16.shuffle(x, x, HIGH_HALF)));
  f.result(i8x16.shuffle(low, f32x4.demoteF64x2Zero(body(f, upper)), LOW_HALVES));
}

function polynomial(x: Vec, coefficients: readonly number[]): Vec {
  const [last, ...rest] = coefficients.toReversed();
  return rest.reduce((sum, c) => f64x2.add(f64x2.mul(sum, x), f64Of(c)), f64Of(last ?? 0));
}

/** 2^x: the integer part becomes the exponent, the rest (|r| ≤ 1/2) a Taylor series of e^(r·ln 2). */
function exp2(f: FunctionBuilder, x: Vec): Vec {
  const clamped = f.let(f64x2.max(f64x2.min(x, f64Of(1000)), f64Of(-1000)));
  const whole = f.let(f64x2.nearest(clamped));
  const rest = f.let(f64x2.mul(f64x2.sub(clamped, whole), f64Of(Math.LN2)));
  const coefficients = [1];
  for (let n = 1; n <= 9; n++) coefficients.push((coefficients[n - 1] ?? 1) / n);
  const exponent = i64x2.shl(
    i64x2.extendLowI32x4S(
      i32x4.add(i32x4.truncSatF64x2SZero(whole), i32x4.const(1023, 1023, 1023, 1023)),
    ),
    52,
  );
  return f64x2.mul(polynomial(rest, coefficients), exponent);
}

/** log2 x: exponent plus 2·atanh((m − 1)/(m + 1))/ln 2 for m in [√½, √2). */
function log2(f: FunctionBuilder, x: Vec): Vec {
  const bits = f.let(i64x2.sub(x, i64x2.splat(i64.const(0x3fe6a09e667f3bcdn))));
  const exponent = f.let(i64x2.shrS(bits, 52));
  const mantissa = f.let(i64x2.sub(x, i64x2.shl(exponent, 52)));
  const t = f.let(f64x2.div(f64x2.sub(mantissa, f64Of(1)), f64x2.add(mantissa, f64Of(1))));
  const coefficients: number[] = [];
  for (let n = 0; n <= 9; n++) coefficients.push(2 / Math.LN2 / (2 * n + 1));
  const series = f64x2.mul(t, polynomial(f64x2.mul(t, t), coefficients));
  const packed = i8x16.shuffle(
    exponent,
    exponent,
    [0, 1, 2, 3, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0],
  );
  const value = f.let(f64x2.add(f64x2.convertLowI32x4S(packed), series));
  const zero = f64x2.eq(x, f64Of(0));
  const invalid = v128.not(f64x2.ge(x, f64Of(0)));
  const infinite = f64x2.eq(x, f64Of(Number.POSITIVE_INFINITY));
  const withZero = v128.bitselect(f64Of(Number.NEGATIVE_INFINITY), value, zero);
  const withInfinity = v128.bitselect(x, withZero, infinite);
  return v128.bitselect(f64Of(Number.NaN), withInfinity, invalid);
}
