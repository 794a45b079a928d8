import {
  buffer,
  empty,
  expectResults,
  int,
  interestingInts,
  type KernelCase,
} from "./kernel-case.ts";

const COUNT = 200;

type Op = (a: bigint, b: bigint) => bigint;

const s = (bits: number, value: bigint): bigint => BigInt.asIntN(bits, value);
const u = (bits: number, value: bigint): bigint => BigInt.asUintN(bits, value);
const bitsOf = (bits: number, value: bigint): string =>
  u(bits, value).toString(2).padStart(bits, "0");
const ones = (value: string): bigint => BigInt(value.replaceAll("0", "").length);
const reversed = (bits: number, value: bigint): bigint =>
  BigInt(`0b${[...bitsOf(bits, value)].reverse().join("")}`);
const leadingZeros = (bits: number, value: bigint): bigint => {
  const at = bitsOf(bits, value).indexOf("1");
  return BigInt(at === -1 ? bits : at);
};
const firstSet = (bits: number, value: bigint): bigint => {
  const at = bitsOf(bits, value).lastIndexOf("1");
  return at === -1 ? 0n : BigInt(bits - at);
};
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const abs = (a: bigint): bigint => (a < 0n ? -a : a);
const truth = (value: boolean): bigint => (value ? 1n : 0n);

/** bfe from its definition: bits past the top repeat the sign, or are 0. */
function extract(
  bits: number,
  a: bigint,
  position: bigint,
  length: bigint,
  signed: boolean,
): bigint {
  const text = bitsOf(bits, a);
  const bit = (at: number): string => text[bits - 1 - at] ?? "0";
  if (length === 0n) return 0n;
  const sign = signed ? bit(Math.min(Number(position + length) - 1, bits - 1)) : "0";
  let result = 0n;
  for (let at = 0; at < bits; at++) {
    const from = Number(position) + at;
    const inside = at < Number(length) && from < bits;
    if ((inside ? bit(from) : sign) === "1") result |= 1n << BigInt(at);
  }
  return s(bits, result);
}

function insert(bits: number, a: bigint, b: bigint, position: bigint, length: bigint): bigint {
  let result = u(bits, b);
  for (let at = 0n; at < length && position + at < BigInt(bits); at++) {
    const bit = (a >> at) & 1n;
    result = (result & ~(1n << (position + at))) | (bit << (position + at));
  }
  return s(bits, result);
}

function permute(a: bigint, b: bigint, selector: bigint): bigint {
  const bytes = (u(32, b) << 32n) | u(32, a);
  let result = 0n;
  for (let at = 0n; at < 4n; at++) {
    const code = (selector >> (4n * at)) & 15n;
    const byte = (bytes >> (8n * (code & 7n))) & 255n;
    const value = code & 8n ? (byte & 128n ? 255n : 0n) : byte;
    result |= value << (8n * at);
  }
  return s(32, result);
}

function choose(a: bigint, b: bigint, c: bigint, table: number): bigint {
  let result = 0n;
  for (let at = 0n; at < 32n; at++) {
    const row = Number((((a >> at) & 1n) << 2n) | (((b >> at) & 1n) << 1n) | ((c >> at) & 1n));
    result |= BigInt((table >> row) & 1) << at;
  }
  return s(32, result);
}

const low24 = (a: bigint): bigint => BigInt.asIntN(24, a);
const byteOf = (a: bigint, at: bigint): bigint => (u(32, a) >> (8n * at)) & 255n;

const INTS32: Record<string, Op> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  mulhi: (a, b) => (a * b) >> 32n,
  umulhi: (a, b) => (u(32, a) * u(32, b)) >> 32n,
  "/": (a, b) => (b === 0n || (a === -(2n ** 31n) && b === -1n) ? 0n : a / b),
  "%": (a, b) => (b === 0n || (a === -(2n ** 31n) && b === -1n) ? 0n : a % b),
  "u/": (a, b) => (b === 0n ? 0n : u(32, a) / u(32, b)),
  "u%": (a, b) => (b === 0n ? 0n : u(32, a) % u(32, b)),
  min,
  max,
  umin: (a, b) => min(u(32, a), u(32, b)),
  umax: (a, b) => max(u(32, a), u(32, b)),
  abs: (a) => abs(a),
  and: (a, b) => a & b,
  "or not": (a, b) => a | ~b,
  xor: (a, b) => a ^ b,
  popc: (a) => ones(bitsOf(32, a)),
  clz: (a) => leadingZeros(32, a),
  ffs: (a) => firstSet(32, a),
  brev: (a) => reversed(32, a),
  "byte_perm by register": (a, b) => permute(a, b, u(32, b) & 0x7777n),
  "byte_perm by literal": (a, b) => permute(a, b, 0x5140n),
  funnelshift_l: (a, b) => (((u(32, b) << 32n) | u(32, a)) << (b & 31n)) >> 32n,
  funnelshift_rc: (a, b) => ((u(32, b) << 32n) | u(32, a)) >> min(b & 63n, 32n),
  mul24: (a, b) => low24(a) * low24(b),
  sad: (a, b) => abs(a - b) + 7n,
  "<<": (a, b) => a << (b & 31n),
  ">>": (a, b) => a >> (b & 31n),
  "u>>": (a, b) => u(32, a) >> (b & 31n),
  "<": (a, b) => truth(a < b),
  "u<": (a, b) => truth(u(32, a) < u(32, b)),
  select: (a, b) => (a >= b ? a : b - 3n),
  "bfe.s32": (a, b) => extract(32, a, b & 255n, 7n, true),
  "bfe.u32": (a, b) => extract(32, a, 5n, b & 255n, false),
  "bfi.b32": (a, b) => insert(32, a, b, b & 63n, 9n),
  "shl by anything": (a, b) => ((b & 127n) > 31n ? 0n : a << (b & 127n)),
  "shr by anything": (a, b) => a >> min(b & 127n, 31n),
  "bfind.s32": (a) => {
    const flipped = a < 0n ? ~a : a;
    return flipped === 0n ? -1n : 31n - leadingZeros(32, flipped);
  },
  "add.sat": (a, b) => max(min(a + b, 2n ** 31n - 1n), -(2n ** 31n)),
  lop3: (a, b) => choose(a, b, a * 3n, 0xca),
  dp4a: (a, b) => {
    let sum = 11n;
    for (let at = 0n; at < 4n; at++) sum += s(8, byteOf(a, at)) * byteOf(b, at);
    return sum;
  },
  "prmt with signs": (a, b) => permute(a, b, 0xba98n),
  addc: (a, b) => a + b + ((u(32, a) + u(32, b)) >> 32n),
  subc: (a, b) => a - b - truth(u(32, a) < u(32, b)),
};

const INTS64: Record<string, Op> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  mulhi: (a, b) => (a * b) >> 64n,
  umulhi: (a, b) => (u(64, a) * u(64, b)) >> 64n,
  "/": (a, b) => (b === 0n || (a === -(2n ** 63n) && b === -1n) ? 0n : a / b),
  "%": (a, b) => (b === 0n || (a === -(2n ** 63n) && b === -1n) ? 0n : a % b),
  "u/": (a, b) => (b === 0n ? 0n : u(64, a) / u(64, b)),
  "u%": (a, b) => (b === 0n ? 0n : u(64, a) % u(64, b)),
  min,
  umax: (a, b) => max(u(64, a), u(64, b)),
  abs: (a) => abs(a),
  "and not": (a, b) => a & ~b,
  popc: (a) => ones(bitsOf(64, a)),
  clz: (a) => leadingZeros(64, a),
  ffs: (a) => firstSet(64, a),
  brev: (a) => reversed(64, a),
  "<<": (a, b) => a << (b & 63n),
  ">>": (a, b) => a >> (b & 63n),
  "u>>": (a, b) => u(64, a) >> (b & 63n),
  "<": (a, b) => truth(a < b),
  "u<": (a, b) => truth(u(64, a) < u(64, b)),
  "select by u>=": (a, b) => (u(64, a) >= u(64, b) ? a : b),
  "wide product": (a, b) => s(32, a) * s(32, b),
  "unsigned wide product": (a, b) => u(32, a) * u(32, b),
  "to s32": (a) => s(32, a),
  "to u32": (_a, b) => u(32, b),
  "bfe.s64": (a, b) => extract(64, a, b & 255n, 20n, true),
  "bfi.b64": (a, b) => insert(64, a, b, b & 127n, 30n),
};

const NARROW: Record<string, Op> = {
  "s16 +": (a, b) => s(16, a + b),
  "u16 *": (a, b) => u(16, u(16, a) * u(8, b)),
  "to s8": (a) => s(8, a),
  "to u8": (a, b) => u(8, a - b),
  "<": (a, b) => truth(a < b),
  "u<": (a, b) => truth(u(16, a) < u(8, b)),
  "s16 >>": (a, b) => s(16, a >> (b & 15n)),
  "u16 <<": (a, b) => u(16, u(16, a) << (b & 15n)),
  "u %": (a, b) => (u(8, b) === 0n ? 0n : u(16, a) % u(8, b)),
  max,
  "mul.hi.s16": (a, b) => s(16, (a * b) >> 16n),
  "mad.wide.s16": (a, b) => a * b + 5n,
  "cvt.sat.s8": (a) => max(min(a, 127n), -128n),
  "cvt.sat.u16": (a) => max(min(a * 3n, 65535n), 0n),
};

function ints64(seed: number): BigInt64Array<ArrayBuffer> {
  const [high, low] = [interestingInts(COUNT, seed), interestingInts(COUNT, seed + 5)];
  return BigInt64Array.from({ length: COUNT }, (_, i) => {
    const word = BigInt(low[i] ?? 0);
    return i % 3 === 0 ? word : (BigInt(high[i] ?? 0) << 32n) | BigInt.asUintN(32, word);
  });
}

function table(ops: Record<string, Op>, a: readonly bigint[], b: readonly bigint[], bits: number) {
  return Object.entries(ops).map(
    ([name, op]) => [name, a.map((x, i) => s(bits, op(x, b[i] ?? 0n)))] as const,
  );
}

const toNumbers = (rows: ReturnType<typeof table>) =>
  rows.map(([name, values]) => [name, values.map(Number)] as const);

const x32 = interestingInts(COUNT, 3);
const y32 = interestingInts(COUNT, 40);
const x64 = ints64(9);
const y64 = ints64(23);
const x16 = Int16Array.from(interestingInts(COUNT, 11));
const y8 = Int8Array.from(interestingInts(COUNT, 17));

export const integerCases: readonly KernelCase[] = [
  {
    name: "32-bit integers",
    source: "integer",
    entry: "ints32",
    grid: 2,
    block: 128,
    args: () => [
      buffer(x32),
      buffer(y32),
      empty(4 * COUNT * Object.keys(INTS32).length),
      int(COUNT),
    ],
    check: ([, , out]) => {
      const rows = table(INTS32, [...x32].map(BigInt), [...y32].map(BigInt), 32);
      expectResults(new Int32Array(out ?? new ArrayBuffer(0)), COUNT, toNumbers(rows));
    },
  },
  {
    name: "64-bit integers",
    source: "integer",
    entry: "ints64",
    grid: 2,
    block: 128,
    args: () => [
      buffer(x64),
      buffer(y64),
      empty(8 * COUNT * Object.keys(INTS64).length),
      int(COUNT),
    ],
    check: ([, , out]) => {
      const rows = table(INTS64, [...x64], [...y64], 64);
      expectResults(new BigInt64Array(out ?? new ArrayBuffer(0)), COUNT, rows);
    },
  },
  {
    name: "8-bit and 16-bit integers",
    source: "integer",
    entry: "narrow",
    grid: 2,
    block: 128,
    args: () => [
      buffer(x16),
      buffer(y8),
      empty(4 * COUNT * Object.keys(NARROW).length),
      int(COUNT),
    ],
    check: ([, , out]) => {
      const rows = table(NARROW, [...x16].map(BigInt), [...y8].map(BigInt), 32);
      expectResults(new Int32Array(out ?? new ArrayBuffer(0)), COUNT, toNumbers(rows));
    },
  },
];
