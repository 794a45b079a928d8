import { expect, test } from "vitest";
import {
  type Expr,
  f32,
  f64,
  i32,
  i64,
  type ModuleBuilder,
  select,
} from "../../../runtime/wasm/wasm.ts";
import { compile } from "./compile.ts";

const numbers32 = [0, 1, -1, 5, -7, 31, 0x7fffffff, -0x80000000, 123456789];
const numbers64 = [0n, 1n, -1n, 5n, -7n, 63n, 2n ** 63n - 1n, -(2n ** 63n), 0x123456789abcdefn];
const floats = [0, -0, 1, -1.5, 2.5, 1e30, -1e-30, Number.NaN, Number.POSITIVE_INFINITY];

const u32 = (value: number) => value >>> 0;
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);
const bit = (value: boolean) => (value ? 1 : 0);
const overflows = (a: number, b: number) => a === -0x80000000 && b === -1;

test("32-bit integer operations agree with JavaScript", () => {
  const reference: Record<string, (a: number, b: number) => number | undefined> = {
    add: (a, b) => (a + b) | 0,
    sub: (a, b) => (a - b) | 0,
    mul: Math.imul,
    divS: (a, b) => (b === 0 || overflows(a, b) ? undefined : (a / b) | 0),
    divU: (a, b) => (b === 0 ? undefined : (u32(a) / u32(b)) | 0),
    remS: (a, b) => (b === 0 ? undefined : (a % b) | 0),
    remU: (a, b) => (b === 0 ? undefined : (u32(a) % u32(b)) | 0),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << b,
    shrS: (a, b) => a >> b,
    shrU: (a, b) => (a >>> b) | 0,
    // A JavaScript shift by 32 is a shift by 0: harmless, both halves are then the same bits.
    rotl: (a, b) => (a << (b & 31)) | (a >>> ((32 - b) & 31)),
    rotr: (a, b) => (a >>> (b & 31)) | (a << ((32 - b) & 31)),
    eq: (a, b) => bit(a === b),
    ne: (a, b) => bit(a !== b),
    ltS: (a, b) => bit(a < b),
    ltU: (a, b) => bit(u32(a) < u32(b)),
    gtS: (a, b) => bit(a > b),
    gtU: (a, b) => bit(u32(a) > u32(b)),
    leS: (a, b) => bit(a <= b),
    leU: (a, b) => bit(u32(a) <= u32(b)),
    geS: (a, b) => bit(a >= b),
    geU: (a, b) => bit(u32(a) >= u32(b)),
  };
  const table = i32 as unknown as Record<string, (a: Expr<"i32">, b: Expr<"i32">) => Expr<"i32">>;
  const exports = compile((m) => {
    for (const name of Object.keys(reference)) {
      const f = m.func(name, ["i32", "i32"], ["i32"]);
      f.result(table[name]?.(f.param("i32", 0), f.param("i32", 1)) ?? 0);
    }
  });
  for (const [name, expected] of Object.entries(reference)) {
    for (const a of numbers32) {
      for (const b of numbers32) {
        const want = expected(a, b);
        if (want !== undefined)
          expect([name, a, b, exports[name]?.(a, b)]).toEqual([name, a, b, want]);
      }
    }
  }
});

test("64-bit integer operations agree with BigInt arithmetic", () => {
  const reference: Record<string, (a: bigint, b: bigint) => bigint | undefined> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    divS: (a, b) => (b === 0n || (a === -(2n ** 63n) && b === -1n) ? undefined : a / b),
    divU: (a, b) => (b === 0n ? undefined : u64(a) / u64(b)),
    remS: (a, b) => (b === 0n ? undefined : a % b),
    remU: (a, b) => (b === 0n ? undefined : u64(a) % u64(b)),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << (b & 63n),
    shrS: (a, b) => a >> (b & 63n),
    shrU: (a, b) => u64(a) >> (b & 63n),
    rotl: (a, b) => (u64(a) << (b & 63n)) | (u64(a) >> ((64n - (b & 63n)) & 63n)),
    rotr: (a, b) => (u64(a) >> (b & 63n)) | (u64(a) << ((64n - (b & 63n)) & 63n)),
  };
  const table = i64 as unknown as Record<string, (a: Expr<"i64">, b: Expr<"i64">) => Expr<"i64">>;
  const exports = compile((m) => {
    for (const name of Object.keys(reference)) {
      const f = m.func(name, ["i64", "i64"], ["i64"]);
      f.result(table[name]?.(f.param("i64", 0), f.param("i64", 1)) ?? 0n);
    }
  });
  for (const [name, expected] of Object.entries(reference)) {
    for (const a of numbers64) {
      for (const b of numbers64) {
        const want = expected(a, b);
        if (want !== undefined)
          expect([name, a, b, exports[name]?.(a, b)]).toEqual([name, a, b, s64(want)]);
      }
    }
  }
});

test("float operations and comparisons agree with JavaScript", () => {
  const reference: Record<string, (a: number, b: number) => number> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    min: Math.min,
    max: Math.max,
    eq: (a, b) => bit(a === b),
    ne: (a, b) => bit(a !== b),
    lt: (a, b) => bit(a < b),
    gt: (a, b) => bit(a > b),
    le: (a, b) => bit(a <= b),
    ge: (a, b) => bit(a >= b),
  };
  for (const [type, ops, round] of [
    ["f32", f32, Math.fround],
    ["f64", f64, (value: number) => value],
  ] as const) {
    const table = ops as unknown as Record<string, (a: Expr, b: Expr) => Expr<"f32" | "i32">>;
    const exports = compile((m) => {
      for (const name of Object.keys(reference)) {
        const compares = ["eq", "ne", "lt", "gt", "le", "ge"].includes(name);
        const f = m.func(name, [type, type], [compares ? "i32" : type]);
        const value = table[name]?.(f.param(type, 0), f.param(type, 1));
        if (value !== undefined) f.result(value);
      }
    });
    for (const [name, expected] of Object.entries(reference)) {
      for (const a of floats) {
        for (const b of floats) {
          const got = exports[name]?.(a, b);
          expect([type, name, a, b, got]).toEqual([
            type,
            name,
            a,
            b,
            round(expected(round(a), round(b))),
          ]);
        }
      }
    }
  }
});

test("constants survive encoding: integers of every length and special floats", () => {
  const ints = [
    0,
    1,
    -1,
    63,
    64,
    -64,
    -65,
    127,
    128,
    8191,
    8192,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 32 - 1,
  ];
  const exports = compile((m) => {
    for (const value of ints) m.func(`i${value}`, [], ["i32"]).result(value);
    for (const value of numbers64) m.func(`l${value}`, [], ["i64"]).result(value);
    for (const value of floats)
      m.func(`f${Object.is(value, -0) ? "-0" : value}`, [], ["f32"]).result(value);
    for (const value of floats)
      m.func(`d${Object.is(value, -0) ? "-0" : value}`, [], ["f64"]).result(value);
  });
  for (const value of ints) expect(exports[`i${value}`]?.()).toBe(value | 0);
  for (const value of numbers64) expect(exports[`l${value}`]?.()).toBe(value);
  for (const value of floats) {
    const key = Object.is(value, -0) ? "-0" : String(value);
    expect(exports[`f${key}`]?.()).toBe(Math.fround(value));
    expect(exports[`d${key}`]?.()).toBe(value);
  }
});

test("conversions, reinterpretations and select do what their names say", () => {
  const exports = compile((m) => {
    const x = (
      name: string,
      from: "i32" | "i64" | "f32" | "f64",
      value: (f: ReturnType<ModuleBuilder["func"]>) => Expr,
    ) => {
      const f = m.func(name, [from], ["i32"]);
      const result = value(f);
      f.result(result);
    };
    x("truncSat", "f32", (f) => i32.truncSatF32S(f.param("f32", 0)));
    x("truncSatU64", "f64", (f) => i32.truncSatF64U(f.param("f64", 0)));
    x("bits", "f32", (f) => i32.reinterpretF32(f.param("f32", 0)));
    x("wrap", "i64", (f) => i32.wrapI64(f.param("i64", 0)));
    x("extend8", "i32", (f) => i32.extend8S(f.param("i32", 0)));
    x("select", "i32", (f) => select(f.param("i32", 0), i32.const(10), i32.const(20)));
    const wide = m.func("extend", ["i32"], ["i64"]);
    wide.result(i64.extendI32U(wide.param("i32", 0)));
    const half = m.func("convert", ["i32"], ["f64"]);
    half.result(f64.promoteF32(f32.convertI32U(half.param("i32", 0))));
  });
  expect(exports.truncSat?.(1e20)).toBe(0x7fffffff);
  expect(exports.truncSat?.(Number.NaN)).toBe(0);
  expect(exports.truncSatU64?.(1e20)).toBe(-1);
  expect(exports.bits?.(1)).toBe(0x3f800000);
  expect(exports.wrap?.(0x1_0000_0005n)).toBe(5);
  expect(exports.extend8?.(0xff)).toBe(-1);
  expect(exports.select?.(1)).toBe(10);
  expect(exports.select?.(0)).toBe(20);
  expect(exports.extend?.(-1)).toBe(0xffffffffn);
  expect(exports.convert?.(-1)).toBe(4294967296);
});
