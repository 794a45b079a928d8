import { expect, test } from "vitest";
import {
  type Expr,
  f32x4,
  f64x2,
  i8x16,
  i16x8,
  i32x4,
  i64x2,
  v128,
} from "../../../runtime/wasm/wasm.ts";
import { compile } from "./compile.ts";

type Lane = number | bigint;
type Vec = Expr<"v128">;
type Binary = (a: Vec, b: Vec) => Vec;

/** Runs an operation on the vectors at bytes 0, 16 and 32 of a fresh memory; gives the 16 bytes made. */
function runVector(inputs: Uint8Array[], apply: (a: Vec, b: Vec, c: Vec) => Vec): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const bytes = new Uint8Array(memory.buffer);
  inputs.forEach((input, at) => {
    bytes.set(input, 16 * at);
  });
  const exports = compile(
    (m) => {
      m.importMemory("env", "memory", { initial: 1 });
      const f = m.func("run", []);
      f.do(v128.store(0, apply(v128.load(0), v128.load(0, 16), v128.load(0, 32)), 48));
    },
    { env: { memory } },
  );
  exports.run?.();
  return bytes.slice(48, 64);
}

/** Deterministic bytes with extremes among them. */
function sampleBytes(seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: 16 }, (_, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const pick = state >>> 29;
    return at % 4 === 0 && pick < 3 ? ([0, 0x80, 0xff][pick] ?? 0) : state >>> 24;
  });
}

interface LaneType {
  name: string;
  ops: Record<string, unknown>;
  bits: number;
  signed: (bytes: Uint8Array) => Lane[];
  unsigned: (bytes: Uint8Array) => Lane[];
  pack: (lanes: Lane[]) => Uint8Array;
}

const numbers = (view: ArrayLike<number>): Lane[] => Array.from(view);
const integerTypes: LaneType[] = [
  {
    name: "i8x16",
    ops: i8x16,
    bits: 8,
    signed: (b) => numbers(new Int8Array(b.buffer)),
    unsigned: (b) => numbers(b),
    pack: (l) => Uint8Array.from(l, Number),
  },
  {
    name: "i16x8",
    ops: i16x8,
    bits: 16,
    signed: (b) => numbers(new Int16Array(b.buffer)),
    unsigned: (b) => numbers(new Uint16Array(b.buffer)),
    pack: (l) => new Uint8Array(Int16Array.from(l, Number).buffer),
  },
  {
    name: "i32x4",
    ops: i32x4,
    bits: 32,
    signed: (b) => numbers(new Int32Array(b.buffer)),
    unsigned: (b) => numbers(new Uint32Array(b.buffer)),
    pack: (l) => new Uint8Array(Int32Array.from(l, Number).buffer),
  },
  {
    name: "i64x2",
    ops: i64x2,
    bits: 64,
    signed: (b) => Array.from(new BigInt64Array(b.buffer)),
    unsigned: (b) => Array.from(new BigUint64Array(b.buffer)),
    pack: (l) => new Uint8Array(BigInt64Array.from(l, BigInt).buffer),
  },
];

// Compared through a subtraction: linters like to turn `a < b ? a : b` into Math.min, which refuses bigints.
const smaller = (a: bigint, b: bigint) => (a - b < 0n ? a : b);
const larger = (a: bigint, b: bigint) => (a - b > 0n ? a : b);
const saturate = (value: bigint, low: bigint, high: bigint) =>
  value < low ? low : value > high ? high : value;

test("integer lane operations agree with BigInt arithmetic in every lane width", () => {
  let checked = 0;
  for (const type of integerTypes) {
    const bits = BigInt(type.bits);
    const wrap = (value: bigint) => BigInt.asIntN(type.bits, value);
    const smin = -(1n << (bits - 1n));
    const smax = (1n << (bits - 1n)) - 1n;
    const umax = (1n << bits) - 1n;
    const mask = (value: boolean) => (value ? -1n : 0n);
    // s: signed lanes, u: the same lanes unsigned.
    const reference: Record<string, (s: [bigint, bigint], u: [bigint, bigint]) => bigint> = {
      add: ([a, b]) => a + b,
      sub: ([a, b]) => a - b,
      mul: ([a, b]) => a * b,
      minS: ([a, b]) => smaller(a, b),
      maxS: ([a, b]) => larger(a, b),
      minU: (_, [a, b]) => smaller(a, b),
      maxU: (_, [a, b]) => larger(a, b),
      avgrU: (_, [a, b]) => (a + b + 1n) / 2n,
      addSatS: ([a, b]) => saturate(a + b, smin, smax),
      addSatU: (_, [a, b]) => saturate(a + b, 0n, umax),
      subSatS: ([a, b]) => saturate(a - b, smin, smax),
      subSatU: (_, [a, b]) => saturate(a - b, 0n, umax),
      q15mulrSatS: ([a, b]) => saturate((a * b + 0x4000n) >> 15n, smin, smax),
      eq: ([a, b]) => mask(a === b),
      ne: ([a, b]) => mask(a !== b),
      ltS: ([a, b]) => mask(a < b),
      gtS: ([a, b]) => mask(a > b),
      leS: ([a, b]) => mask(a <= b),
      geS: ([a, b]) => mask(a >= b),
      ltU: (_, [a, b]) => mask(a < b),
      gtU: (_, [a, b]) => mask(a > b),
      leU: (_, [a, b]) => mask(a <= b),
      geU: (_, [a, b]) => mask(a >= b),
    };
    for (const [name, expected] of Object.entries(reference)) {
      const op = type.ops[name];
      if (typeof op !== "function") continue;
      checked++;
      for (const seed of [1, 2, 3]) {
        const a = sampleBytes(seed);
        const b = sampleBytes(seed + 100);
        // Some lanes equal, for the comparisons.
        b.set(a.subarray(0, 8));
        const got = runVector([a, b], op as Binary);
        const lanes = type.signed(a).map((_, lane) => {
          const at = (list: Lane[]) => BigInt(list[lane] ?? 0);
          return wrap(
            expected(
              [at(type.signed(a)), at(type.signed(b))],
              [at(type.unsigned(a)), at(type.unsigned(b))],
            ),
          );
        });
        expect([type.name, name, got]).toEqual([type.name, name, type.pack(lanes)]);
      }
    }
    for (const count of [0, 1, type.bits - 1]) {
      const a = sampleBytes(7);
      for (const [name, shift] of [
        ["shl", (s: bigint) => s << BigInt(count)],
        ["shrS", (s: bigint) => s >> BigInt(count)],
        ["shrU", (_: bigint, u: bigint) => u >> BigInt(count)],
      ] as const) {
        const op = type.ops[name] as (a: Vec, count: number) => Vec;
        const lanes = type
          .signed(a)
          .map((s, lane) => wrap(shift(BigInt(s), BigInt(type.unsigned(a)[lane] ?? 0))));
        expect([name, count, runVector([a], (x) => op(x, count))]).toEqual([
          name,
          count,
          type.pack(lanes),
        ]);
        checked++;
      }
    }
  }
  expect(checked).toBeGreaterThan(100);
});

test("float lane operations agree with JavaScript", () => {
  const values = [1.5, -2.25, 0, -0, 3e10, 7, -1e-20, 2.5];
  const reference: Record<string, (a: number, b: number) => number> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    min: Math.min,
    max: Math.max,
    pmin: (a, b) => Math.min(b, a),
    pmax: (a, b) => Math.max(a, b),
    abs: Math.abs,
    neg: (a) => -a,
    sqrt: Math.sqrt,
    ceil: Math.ceil,
    floor: Math.floor,
    trunc: Math.trunc,
  };
  for (const [name, expected] of Object.entries(reference)) {
    const a32 = Float32Array.from(values.slice(0, 4));
    const b32 = Float32Array.from(values.slice(4));
    const want32 = a32.map((value, at) => expected(value, b32[at] ?? 0));
    const op32 = (f32x4 as unknown as Record<string, Binary>)[name] as Binary;
    const got32 = runVector([new Uint8Array(a32.buffer), new Uint8Array(b32.buffer)], op32);
    expect([name, new Float32Array(got32.buffer)]).toEqual([name, want32]);
    const a64 = Float64Array.from(values.slice(1, 3));
    const b64 = Float64Array.from(values.slice(6));
    const want64 = a64.map((value, at) => expected(value, b64[at] ?? 0));
    const op64 = (f64x2 as unknown as Record<string, Binary>)[name] as Binary;
    const got64 = runVector([new Uint8Array(a64.buffer), new Uint8Array(b64.buffer)], op64);
    expect([name, new Float64Array(got64.buffer)]).toEqual([name, want64]);
  }
});

test("shuffle, swizzle, bitselect and lane access move the bytes they name", () => {
  const a = Uint8Array.from({ length: 16 }, (_, at) => at);
  const b = Uint8Array.from({ length: 16 }, (_, at) => 100 + at);
  const order = [31, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 15];
  const both = [...a, ...b];
  expect([...runVector([a, b], (x, y) => i8x16.shuffle(x, y, order))]).toEqual(
    order.map((from) => both[from]),
  );
  const indices = Uint8Array.from([3, 2, 1, 0, 16, 255, 15, 15, 0, 0, 0, 0, 0, 0, 0, 7]);
  expect([...runVector([b, indices], i8x16.swizzle)]).toEqual(
    [...indices].map((from) => b[from] ?? 0),
  );
  const mask = Uint8Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? 0xff : 0x0f));
  expect([...runVector([a, b, mask], v128.bitselect)]).toEqual(
    [...mask].map((m, at) => ((a[at] ?? 0) & m) | ((b[at] ?? 0) & ~m & 0xff)),
  );
  const moved = runVector([a, b], (x, y) => i32x4.replaceLane(x, 2, i32x4.extractLane(y, 1)));
  expect([...moved]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 104, 105, 106, 107, 12, 13, 14, 15]);
  expect(() => i32x4.extractLane(i32x4.splat(0), 4)).toThrow("lane 4 does not exist");
  expect(() => i8x16.const(1, 2)).toThrow("2 lanes given");
});

test("conversions between lane types agree with typed arrays", () => {
  const ints = new Uint8Array(Int32Array.from([1, -2, 2 ** 31 - 1, -(2 ** 31)]).buffer);
  const floats = new Uint8Array(Float32Array.from([1.9, -1.9, 1e20, Number.NaN]).buffer);
  const asFloats = (bytes: Uint8Array) => [...new Float32Array(bytes.buffer)];
  const asInts = (bytes: Uint8Array) => [...new Int32Array(bytes.buffer)];
  expect(asFloats(runVector([ints], f32x4.convertI32x4S))).toEqual(
    [1, -2, 2 ** 31 - 1, -(2 ** 31)].map(Math.fround),
  );
  expect(asFloats(runVector([ints], f32x4.convertI32x4U))).toEqual(
    [1, 2 ** 32 - 2, 2 ** 31 - 1, 2 ** 31].map(Math.fround),
  );
  expect(asInts(runVector([floats], i32x4.truncSatF32x4S))).toEqual([1, -1, 2 ** 31 - 1, 0]);
  expect(asInts(runVector([ints], i32x4.extendLowI16x8S))).toEqual([1, 0, -2, -1]);
  expect(asInts(runVector([ints], i32x4.extendHighI16x8U))).toEqual([65535, 32767, 0, 32768]);
  const doubles = runVector([floats], f64x2.promoteLowF32x4);
  expect([...new Float64Array(doubles.buffer)]).toEqual([1.9, -1.9].map(Math.fround));
});

test("every vector instruction has an encoding that engines accept with its declared types", () => {
  const tables: Record<string, object> = { v128, i8x16, i16x8, i32x4, i64x2, f32x4, f64x2 };
  const scalars: Record<string, "i32" | "i64" | "f32" | "f64"> = {
    i8x16: "i32",
    i16x8: "i32",
    i32x4: "i32",
    i64x2: "i64",
    f32x4: "f32",
    f64x2: "f64",
  };
  let count = 0;
  compile((m) => {
    m.defineMemory({ initial: 1 });
    for (const [tableName, table] of Object.entries(tables)) {
      const scalar = scalars[tableName] ?? "i32";
      for (const [name, op] of Object.entries(table) as [string, (...args: unknown[]) => Expr][]) {
        if (name === "const") continue;
        const f = m.func(`${tableName}.${name}`, ["v128", "v128", "v128", scalar, "i32"]);
        const [a, b, c] = [f.param("v128", 0), f.param("v128", 1), f.param("v128", 2)];
        const value = f.param(scalar, 3);
        const count32 = f.param("i32", 4);
        const args = /^load\d+Lane$|^store\d+Lane$/.test(name)
          ? [count32, a, 1]
          : name.startsWith("load")
            ? [count32]
            : name === "store"
              ? [count32, a]
              : /^sh[lr]/.test(name)
                ? [a, count32]
                : name === "splat"
                  ? [value]
                  : name.startsWith("extractLane")
                    ? [a, 1]
                    : name === "replaceLane"
                      ? [a, 1, value]
                      : name === "shuffle"
                        ? [a, b, Array.from({ length: 16 }, (_, at) => at)]
                        : name === "bitselect"
                          ? [a, b, c]
                          : op.length === 1
                            ? [a]
                            : [a, b];
        const result = op(...args);
        if (result.type === "void") f.do(result as Expr<"void">);
        else f.drop(result as Expr<"v128">);
        count++;
      }
    }
  });
  // All 236 instructions of the SIMD proposal but the constant, which is checked by value.
  expect(count).toBe(235);
});
