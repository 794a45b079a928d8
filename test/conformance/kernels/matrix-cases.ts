import { expect } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../../src/ir/float-formats.ts";
import {
  buffer,
  empty,
  int,
  interestingInts,
  type KernelCase,
  smallFloats,
} from "./kernel-case.ts";

interface Element {
  readonly bytes: number;
  readonly encode: (value: number) => number;
  readonly decode: (bits: number) => number;
}

const scratch = new DataView(new ArrayBuffer(4));
const tf32Bits = (value: number): number => {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0) & 0xffffe000;
};
const tf32Value = (bits: number): number => {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
};

const BF16: Element = { bytes: 2, encode: toBf16, decode: fromBf16 };
const F16: Element = { bytes: 2, encode: toF16, decode: fromF16 };
const TF32: Element = { bytes: 4, encode: tf32Bits, decode: tf32Value };
const S8: Element = {
  bytes: 1,
  encode: (v) => Math.round(v * 127) & 255,
  decode: (b) => (b << 24) >> 24,
};
const U8: Element = { bytes: 1, encode: (v) => Math.round(v * 127) & 255, decode: (b) => b };

interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly values: readonly number[];
}

/** rows × depth elements, k contiguous. */
function matrix(element: Element, rows: number, depth: number, seed: number): Packed {
  const bytes = new Uint8Array(rows * depth * element.bytes);
  const view = new DataView(bytes.buffer);
  const values = [...smallFloats(rows * depth, seed)].map((value, i) => {
    const bits = element.encode(value);
    if (element.bytes === 1) view.setUint8(i, bits);
    else if (element.bytes === 2) view.setUint16(2 * i, bits, true);
    else view.setUint32(4 * i, bits, true);
    return element.decode(bits);
  });
  return { bytes, values };
}

/** D = C + A·Bᵀ and the sum of the magnitudes, which the error is measured by. */
function multiply(
  a: readonly number[],
  b: readonly number[],
  rows: number,
  columns: number,
  depth: number,
): readonly { readonly value: number; readonly scale: number }[] {
  return Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let value = 0;
    let scale = 0;
    for (let k = 0; k < depth; k++) {
      const term = (a[row * depth + k] ?? 0) * (b[column * depth + k] ?? 0);
      value += term;
      scale += Math.abs(term);
    }
    return { value, scale };
  });
}

function expectProduct(
  actual: ArrayLike<number>,
  expected: ReturnType<typeof multiply>,
  start: (at: number) => number,
  epsilon: number,
): void {
  for (const [at, { value, scale }] of expected.entries()) {
    const wanted = value + start(at);
    const error = Math.abs((actual[at] ?? Number.NaN) - wanted);
    expect(error, `element ${at}`).toBeLessThanOrEqual((scale + Math.abs(start(at))) * epsilon);
  }
}

const floatsOf = (out: ArrayBuffer | undefined): Float32Array =>
  new Float32Array(out ?? new ArrayBuffer(0));
const c = smallFloats(128, 90);

function tile(
  name: string,
  entry: string,
  element: Element,
  depth: number,
  withWords = true,
): KernelCase {
  const a = matrix(element, 16, depth, 5);
  const b = matrix(element, 8, depth, 6);
  return {
    name,
    source: "matrix",
    entry,
    block: 32,
    args: () => [
      buffer(a.bytes),
      buffer(b.bytes),
      buffer(c),
      empty(512),
      ...(withWords ? [int((depth * element.bytes) / 4)] : []),
    ],
    check: ([, , , d]) =>
      expectProduct(
        floatsOf(d),
        multiply(a.values, b.values, 16, 8, depth),
        (at) => c[at] ?? 0,
        2e-6,
      ),
  };
}

const fragmentRows = Uint16Array.from(interestingInts(256, 19), (v) => v & 0xffff);

/** Fragments of the four matrices, from the layout's definition. */
function fragments(): number[] {
  const element = (m: number, row: number, column: number): number =>
    fragmentRows[m * 64 + row * 8 + column] ?? 0;
  const fragment = (m: number, transposed: boolean): number[] =>
    Array.from({ length: 32 }, (_, lane) => {
      const [g, t] = [lane >> 2, lane & 3];
      const low = transposed ? element(m, 2 * t, g) : element(m, g, 2 * t);
      const high = transposed ? element(m, 2 * t + 1, g) : element(m, g, 2 * t + 1);
      return (low | (high << 16)) >>> 0;
    });
  return [
    ...[0, 1, 2, 3].flatMap((m) => fragment(m, false)),
    ...[0, 1, 2, 3].flatMap((m) => fragment(m, true)),
    ...[0, 1].flatMap((m) => fragment(m, false)),
    ...fragment(0, true),
  ];
}

const i8a = matrix(S8, 16, 64, 31);
const u8b = matrix(U8, 8, 64, 32);
const i8c = interestingInts(128, 3).map((v) => v >> 12);

const f16a = matrix(F16, 16, 16, 41);
const f16b = matrix(F16, 8, 16, 42);
const f16c = matrix(F16, 16, 8, 43);

const [M, NN, K] = [64, 96, 128];
const gemmA = matrix(BF16, M, K, 51);
const gemmB = matrix(BF16, NN, K, 52);

export const matrixCases: readonly KernelCase[] = [
  tile("mma of bf16, k = 48", "tile_bf16", BF16, 48),
  tile("mma of f16, k = 48", "tile_f16", F16, 48),
  tile("mma of tf32, k = 24", "tile_tf32", TF32, 24),
  tile("mma of bf16, k = 8", "tile_bf16_k8", BF16, 8, false),
  {
    name: "mma of 8-bit integers, k = 64",
    source: "matrix",
    entry: "tile_i8",
    block: 32,
    args: () => [buffer(i8a.bytes), buffer(u8b.bytes), buffer(i8c), empty(512), int(16)],
    check: ([, , , d]) => {
      const expected = multiply(i8a.values, u8b.values, 16, 8, 64).map(
        ({ value }, at) => value + (i8c[at] ?? 0),
      );
      expect([...new Int32Array(d ?? new ArrayBuffer(0))]).toEqual(expected);
    },
  },
  {
    name: "mma of f16 with f16 accumulators",
    source: "matrix",
    entry: "tile_f16_f16",
    block: 32,
    args: () => [buffer(f16a.bytes), buffer(f16b.bytes), buffer(f16c.bytes), empty(256)],
    check: ([, , , d]) => {
      const actual = [...new Uint16Array(d ?? new ArrayBuffer(0))].map(fromF16);
      const expected = multiply(f16a.values, f16b.values, 16, 8, 16);
      expectProduct(actual, expected, (at) => f16c.values[at] ?? 0, 2e-3);
    },
  },
  {
    name: "ldmatrix of one, two and four matrices, straight and transposed",
    source: "matrix",
    entry: "fragments",
    block: 32,
    args: () => [buffer(fragmentRows), empty(4 * 32 * 11)],
    check: ([, out]) => {
      expect([...new Uint32Array(out ?? new ArrayBuffer(0))]).toEqual(fragments());
    },
  },
  {
    name: "a tiled product of bf16 matrices through a cp.async ring",
    source: "matrix",
    entry: "gemm",
    grid: { x: NN / 32, y: M / 32, z: 1 },
    block: 128,
    args: () => [
      buffer(gemmA.bytes),
      buffer(gemmB.bytes),
      empty(4 * M * NN),
      int(M),
      int(NN),
      int(K),
    ],
    check: ([, , out]) =>
      expectProduct(floatsOf(out), multiply(gemmA.values, gemmB.values, M, NN, K), () => 0, 1e-5),
  },
];

const groupA = matrix(BF16, 64, 16, 61);
const groupB = matrix(BF16, 8, 16, 62);

/** wgmma's accumulators start from what lane and register the element lies in. */
export const warpgroupCase: KernelCase = {
  name: "wgmma of bf16 from shared memory",
  source: "hopper",
  entry: "warpgroup",
  block: 128,
  nvrtcMajor: 12,
  args: () => [buffer(groupA.bytes), buffer(groupB.bytes), empty(4 * 512)],
  check: ([, , d]) => {
    const start = (at: number): number => 1 + (at % 2) + 2 * (Math.floor(at / 64) % 2);
    expectProduct(floatsOf(d), multiply(groupA.values, groupB.values, 64, 8, 16), start, 1e-5);
  },
};
