import { expect } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../../src/ir/float-formats.ts";
import { fma, fromInt, type Rounding } from "./exact.ts";
import {
  buffer,
  empty,
  expectResults,
  int,
  interestingFloats,
  interestingInts,
  type KernelCase,
  smallFloats,
} from "./kernel-case.ts";

const COUNT = 256;
const x = interestingFloats(COUNT, 1);
const y = interestingFloats(COUNT, 30);
const z = interestingFloats(COUNT, 57);
const r = Math.fround;

type Op = (a: number, b: number, c: number) => number;

const sum =
  (mode: Rounding): Op =>
  (a, b) =>
    fma(a, 1, b, mode);
const product =
  (mode: Rounding): Op =>
  (a, b) =>
    // The product of zeros has a sign of its own, which adding +0 would lose.
    a === 0 || b === 0 ? a * b : fma(a, b, 0, mode);
const roundEven = (a: number): number => {
  const floor = Math.floor(a);
  const rest = a - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const value = floor + (up ? 1 : 0);
  return value === 0 ? (a < 0 || Object.is(a, -0) ? -0 : 0) : value;
};
const numberOf = (a: number, b: number, pick: (a: number, b: number) => number): number =>
  Number.isNaN(a) ? b : Number.isNaN(b) ? a : pick(a, b);
const oneOrTwo = (value: boolean): number => (value ? 1 : 2);

const EXACT: Record<string, Op> = {
  "add rn": (a, b) => r(a + b),
  "add rz": sum("rz"),
  "add rd": sum("rd"),
  "add ru": sum("ru"),
  sub: (a, b) => r(a - b),
  "mul rn": (a, b) => r(a * b),
  "mul rz": product("rz"),
  "mul rd": product("rd"),
  "mul ru": product("ru"),
  "fma rn": (a, b, c) => fma(a, b, c, "rn"),
  "fma rz": (a, b, c) => fma(a, b, c, "rz"),
  "fma rd": (a, b, c) => fma(a, b, c, "rd"),
  "fma ru": (a, b, c) => fma(a, b, c, "ru"),
  div: (a, b) => r(a / b),
  sqrt: (a) => r(Math.sqrt(Math.abs(a))),
  rcp: (a) => r(1 / a),
  min: (a, b) => numberOf(a, b, Math.min),
  max: (a, b) => numberOf(a, b, Math.max),
  abs: (a) => Math.abs(a),
  neg: (a) => -a,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  trunc: (a) => Math.trunc(a),
  rint: (a) => (Math.abs(a) < 2 ** 24 ? roundEven(a) : a),
  saturate: (a) => (Number.isNaN(a) ? 0 : Math.min(Math.max(a, 0), 1)),
  "<": (a, b) => oneOrTwo(a < b),
  "<=": (a, b) => oneOrTwo(a <= b),
  "not >": (a, b) => oneOrTwo(!(a > b)),
  "==": (a, b) => oneOrTwo(a === b),
  "!=": (a, b) => oneOrTwo(a !== b),
  isnan: (a) => oneOrTwo(Number.isNaN(a)),
  isinf: (a) => oneOrTwo(Math.abs(a) === Number.POSITIVE_INFINITY),
};

const flush = (a: number): number =>
  Math.abs(a) < 2 ** -126 ? (a < 0 || Object.is(a, -0) ? -0 : 0) : a;
const FLUSHED: Record<string, Op> = {
  add: (a, b) => flush(r(flush(a) + flush(b))),
  mul: (a, b) => flush(r(flush(a) * flush(b))),
  "fma sat": (a, b) => {
    const value = flush(fma(flush(a), flush(b), 0.25, "rn"));
    return Number.isNaN(value) ? 0 : Math.min(Math.max(value, 0), 1);
  },
};

/** erf by its Taylor series, which converges everywhere and is exact enough below 6. */
function erf(a: number): number {
  if (Math.abs(a) > 5) return Math.sign(a);
  let term = a;
  let total = a;
  for (let n = 1; n < 200; n++) {
    term *= (-a * a) / n;
    total += term / (2 * n + 1);
  }
  return (total * 2) / Math.sqrt(Math.PI);
}

const CLOSE: Record<string, (a: number, p: number) => number> = {
  exp: (a) => Math.exp(a),
  exp2: (a) => 2 ** a,
  log: (_a, p) => Math.log(p),
  log2: (_a, p) => Math.log2(p),
  rsqrt: (_a, p) => 1 / Math.sqrt(p),
  tanh: (a) => Math.tanh(a),
  erf,
  pow: (_a, p) => p ** 1.7,
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
};
const ROUGH: Record<string, (a: number, p: number) => number> = {
  __expf: (a) => Math.exp(a),
  __logf: (_a, p) => Math.log(p),
  __sinf: (a) => Math.sin(a),
  __cosf: (a) => Math.cos(a),
  __fdividef: (a, p) => a / p,
  "rcp.approx": (_a, p) => 1 / p,
  "sqrt.approx": (_a, p) => Math.sqrt(p),
  "tanh.approx": (a) => Math.tanh(a),
};

/** Arguments of the approximations: moderate, and a few large ones for the slow paths. */
const moderate = smallFloats(COUNT, 77).map((a, i) => (i % 16 === 5 ? a * 50 : a * 4));

function expectClose(
  actual: Float32Array,
  functions: Record<string, (a: number, p: number) => number>,
  relative: number,
  absolute: number,
): void {
  for (const [k, [name, f]] of Object.entries(functions).entries()) {
    for (const [i, a] of moderate.entries()) {
      const wanted = f(a, r(Math.abs(a) + r(1e-3)));
      const error = Math.abs((actual[k * COUNT + i] ?? Number.NaN) - wanted);
      expect(error, `${name}(${a})`).toBeLessThanOrEqual(Math.abs(wanted) * relative + absolute);
    }
  }
}

/** f32 results with NaNs alike, signs of zeros apart. */
function expectFloats(out: ArrayBuffer | undefined, ops: Record<string, Op>): void {
  const rows = Object.entries(ops).map(
    ([name, op]) => [name, [...x].map((a, i) => op(a, y[i] ?? 0, z[i] ?? 0))] as const,
  );
  expectResults(new Float32Array(out ?? new ArrayBuffer(0)), COUNT, rows);
}

const clampTo = (low: number, high: number, value: number): number =>
  Number.isNaN(value) ? 0 : Math.min(Math.max(value, low), high);
const s32 = (value: number): number => clampTo(-(2 ** 31), 2 ** 31 - 1, value) + 0;
const u32 = (value: number): number => clampTo(0, 2 ** 32 - 1, value) | 0;
const s64 = (value: number): bigint =>
  Number.isNaN(value)
    ? -(2n ** 63n)
    : value >= 2 ** 63
      ? 2n ** 63n - 1n
      : value <= -(2 ** 63)
        ? -(2n ** 63n)
        : BigInt(Math.trunc(value));

const even = (a: number): number => (Math.abs(a) < 2 ** 24 ? roundEven(a) : a);
const TO_INTS: Record<string, (a: number) => number> = {
  "s32 rn": (a) => s32(even(a)),
  "s32 rz": (a) => s32(Math.trunc(a)),
  "s32 rd": (a) => s32(Math.floor(a)),
  "s32 ru": (a) => s32(Math.ceil(a)),
  "u32 rn": (a) => u32(even(a)),
  "u32 rz": (a) => u32(Math.trunc(a)),
  "s16 rz": (a) => {
    const clamped = numberOf(numberOf(a, -30000, Math.max), 30000, Math.min);
    return Math.trunc(clamped) + 0;
  },
  "s64 low": (a) => Number(BigInt.asIntN(32, s64(a))),
  "s64 high": (a) => Number(s64(a) >> 32n),
};

const FROM_INTS: Record<string, (a: number) => number> = {
  "s32 rn": (a) => r(a),
  "s32 rz": (a) => fromInt(BigInt(a), "rz"),
  "s32 rd": (a) => fromInt(BigInt(a), "rd"),
  "s32 ru": (a) => fromInt(BigInt(a), "ru"),
  u32: (a) => r(a >>> 0),
  s64: (a) => fromInt(BigInt.asIntN(64, BigInt(a) * 4294967311n), "rn"),
  s8: (a) => (a << 24) >> 24,
  u16: (a) => a & 0xffff,
};

const bits = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
/** PTX's NaN of the 16-bit formats. */
const f16 = (a: number): number => (Number.isNaN(a) ? 0x7fff : toF16(a));
const bf16 = (a: number): number => (Number.isNaN(a) ? 0x7fff : toBf16(a));
const relu = (a: number): number => (Number.isNaN(a) ? a : Math.max(a, 0));
const truncatedF16 = (a: number): number => {
  const nearest = f16(a);
  return Math.abs(fromF16(nearest)) > Math.abs(a) ? nearest - 1 : nearest;
};
const pair = (low: number, high: number): number => (low | (high << 16)) >>> 0;
const fmaBf16 = (a: number, b: number, c: number): number => bf16(fma(a, b, c, "rn"));
const HALVES: Record<string, (a: number, b: number) => number> = {
  "f16 rn": (a) => f16(a),
  "from f16": (a) => bits(fromF16(toF16(a))),
  "f16 rz": truncatedF16,
  "bf16 rn": (a) => bf16(a),
  f16x2: (a, b) => pair(f16(b), f16(a)),
  bf16x2: (a, b) => pair(bf16(b), bf16(a)),
  "bf16x2 relu": (a, b) => pair(bf16(relu(b)), bf16(relu(a))),
  "f16 add": (a, b) => f16(fromF16(f16(a)) + fromF16(f16(b))),
  "f16 mul": (a, b) => f16(fromF16(f16(a)) * fromF16(f16(b))),
  "bf16x2 fma": (a, b) => {
    const [p, q] = [fromBf16(bf16(a)), fromBf16(bf16(b))];
    return pair(fmaBf16(q, p, q), fmaBf16(p, q, p));
  },
};

/** NaN has many forms and the formats one here; their payloads are not compared. */
const halfInputs = (values: Float32Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(values, (a) => (Number.isNaN(a) ? 1.25 : a));
const hx = halfInputs(x);
const hy = halfInputs(y).map((a, i) => (Number.isFinite(a) ? a : i));

const doublesX = Float64Array.from({ length: COUNT }, (_, i) => (x[i] ?? 0) * 1.000000123);
const doublesY = Float64Array.from({ length: COUNT }, (_, i) => (z[i] ?? 0) * 0.99999987);
const DOUBLES: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sqrt: (a) => Math.sqrt(Math.abs(a)),
  fma: (a, b) => a * b + 0.5,
  min: (a, b) => numberOf(a, b, Math.min),
  max: (a, b) => numberOf(a, b, Math.max),
  "to f32": (a) => r(a),
  floor: (a) => Math.floor(a),
  "to s32": (a) => s32(Math.trunc(a)),
  "to s64": (a) => Number(s64(a)),
  select: (a, b) => (a < b ? a : b),
};

function expectDoubles(out: ArrayBuffer | undefined): void {
  const actual = new Float64Array(out ?? new ArrayBuffer(0));
  for (const [k, [name, op]] of Object.entries(DOUBLES).entries()) {
    for (const [i, a] of doublesX.entries()) {
      const seen = actual[k * COUNT + i] ?? 0;
      const wanted = op(a, doublesY[i] ?? 0);
      // Two roundings against one: the reference of fma is the one that is off.
      if (name === "fma" && Number.isFinite(wanted)) {
        expect(Math.abs(seen - wanted)).toBeLessThanOrEqual(
          Math.abs(wanted) * 2 ** -50 + 1e-300 + (Math.abs(wanted) < 1e-10 ? 1e-16 : 0),
        );
      } else expect([name, a, seen + 0]).toEqual([name, a, wanted + 0]);
    }
  }
}

const kernel = (
  name: string,
  entry: string,
  inputs: readonly ArrayBufferView[],
  bytes: number,
  check: (out: ArrayBuffer | undefined) => void,
): KernelCase => ({
  name,
  source: "float",
  entry,
  grid: 2,
  block: 128,
  args: () => [...inputs.map(buffer), empty(bytes * COUNT), int(COUNT)],
  check: (after) => check(after[inputs.length]),
});

const count = (ops: object): number => Object.keys(ops).length;

export const floatCases: readonly KernelCase[] = [
  kernel("f32 arithmetic in every rounding", "floats_exact", [x, y, z], 4 * count(EXACT), (out) =>
    expectFloats(out, EXACT),
  ),
  kernel("f32 with subnormals flushed", "flushed", [x, y], 4 * count(FLUSHED), (out) =>
    expectFloats(out, FLUSHED),
  ),
  kernel("f32 library functions", "floats_close", [moderate], 4 * count(CLOSE), (out) =>
    expectClose(new Float32Array(out ?? new ArrayBuffer(0)), CLOSE, 2e-6, 1e-7),
  ),
  kernel("f32 approximations", "floats_rough", [moderate], 4 * count(ROUGH), (out) =>
    expectClose(new Float32Array(out ?? new ArrayBuffer(0)), ROUGH, 1e-3, 1e-4),
  ),
  kernel("f32 to integers", "to_ints", [x], 4 * count(TO_INTS), (out) => {
    const rows = Object.entries(TO_INTS).map(([name, op]) => [name, [...x].map(op)] as const);
    expectResults(new Int32Array(out ?? new ArrayBuffer(0)), COUNT, rows);
  }),
  kernel(
    "integers to f32",
    "from_ints",
    [interestingInts(COUNT, 8)],
    4 * count(FROM_INTS),
    (out) => {
      const ints = [...interestingInts(COUNT, 8)];
      const rows = Object.entries(FROM_INTS).map(([name, op]) => [name, ints.map(op)] as const);
      expectResults(new Float32Array(out ?? new ArrayBuffer(0)), COUNT, rows);
    },
  ),
  kernel("16-bit floats", "halves", [hx, hy], 4 * count(HALVES), (out) => {
    const rows = Object.entries(HALVES).map(
      ([name, op]) => [name, [...hx].map((a, i) => op(a, hy[i] ?? 0))] as const,
    );
    expectResults(new Uint32Array(out ?? new ArrayBuffer(0)), COUNT, rows);
  }),
  kernel("f64", "doubles", [doublesX, doublesY], 8 * count(DOUBLES), expectDoubles),
];
