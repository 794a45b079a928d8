import { expect } from "vitest";
import { toF16 } from "../../../src/ir/float-formats.ts";
import {
  buffer,
  empty,
  int,
  interestingInts,
  type KernelCase,
  smallFloats,
} from "./kernel-case.ts";

const range = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
const ints = (out: ArrayBuffer | undefined): number[] => [
  ...new Int32Array(out ?? new ArrayBuffer(0)),
];

const N = 1000;
const values = interestingInts(N, 14).map((v) => Math.abs(v >> 16) % 5000);
const all = [...values];
const total = all.reduce((a, b) => a + b, 0);

/** What n increments that wrap past `limit` make of 0, and n decrements. */
const wrapped = (limit: number): number => N % (limit + 1);
const unwrapped = (limit: number): number => {
  let v = 0;
  for (let i = 0; i < N; i++) v = v === 0 || v > limit ? limit : v - 1;
  return v;
};

const initial = Int32Array.of(0, 0, 5000, -5000, -1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const expectedWords = [
  total,
  -total,
  Math.min(5000, ...all),
  Math.max(-5000, ...all),
  Math.min(...all),
  Math.max(...all),
  all.reduce((a, b) => a & (b | 0xff), -1),
  all.reduce((a, b) => a | (b & 0xffff), 0),
  all.reduce((a, b) => a ^ b, 0),
  wrapped(100),
  unwrapped(77),
  new Int32Array(Float32Array.of(Math.max(...all)).buffer)[0] ?? 0,
  N,
  (N * (N - 1)) / 2,
  toF16(N) | (toF16(N) << 16),
];

const bytes = Uint8Array.from(interestingInts(3000, 2), (v) => v & 255);
const block = interestingInts(256, 31).map((v) => (v >> 8) % 100);
const stream = interestingInts(64 * 5, 4);
const terms = smallFloats(5000, 8);

export const syncCases: readonly KernelCase[] = [
  {
    name: "atomics on global memory",
    source: "atomics",
    entry: "atomics",
    grid: 5,
    block: 224,
    args: () => [
      buffer(values),
      buffer(initial),
      buffer(new Float32Array(1)),
      buffer(new BigUint64Array(2)),
      buffer(new Float64Array(1)),
      int(N),
    ],
    check: ([, out, sums, wide, doubles]) => {
      expect(ints(out).slice(0, 15)).toEqual(expectedWords);
      expect([...new Float32Array(sums ?? new ArrayBuffer(0))]).toEqual([
        all.reduce((a, b) => a + (b & 15), 0),
      ]);
      expect([...new BigUint64Array(wide ?? new ArrayBuffer(0))]).toEqual([
        BigInt(total) * 1000003n,
        BigInt(Math.max(...all)) * 1000003n,
      ]);
      expect([...new Float64Array(doubles ?? new ArrayBuffer(0))]).toEqual([
        all.reduce((a, b) => a + (b & 255), 0),
      ]);
    },
  },
  {
    name: "a histogram with atomics on shared memory",
    source: "atomics",
    entry: "histogram",
    grid: 3,
    block: 128,
    args: () => [buffer(bytes), buffer(new Int32Array(256)), int(bytes.length)],
    check: ([, out]) => {
      const expected = new Array<number>(256).fill(0);
      for (const byte of bytes) expected[byte] = (expected[byte] ?? 0) + 1;
      expect(ints(out)).toEqual(expected);
    },
  },
  {
    name: "barriers that count and vote",
    source: "sync",
    entry: "block_votes",
    grid: 2,
    block: 128,
    args: () => [buffer(block), empty(1024)],
    check: ([, out]) => {
      const expected = range(256, (i) => {
        const mine = [...block.subarray(i - (i % 128), i - (i % 128) + 128)];
        const count = mine.filter((v) => v > 0).length;
        return (
          count * 4 + Number(mine.some((v) => v > 90)) * 2 + Number(mine.every((v) => v > -90))
        );
      });
      expect(ints(out)).toEqual(expected);
    },
  },
  {
    name: "producer and consumer warps over named barriers",
    source: "sync",
    entry: "pipeline",
    block: 96,
    args: () => [buffer(stream), empty(4 * 64 * 5), int(5)],
    check: ([, out]) => {
      const expected = range(320, (i) => ((stream[i - (i % 64) + 63 - (i % 64)] ?? 0) * 2) | 0);
      expect(ints(out)).toEqual(expected);
    },
  },
  {
    name: "the last block adds up the partial sums of all",
    source: "sync",
    entry: "last_block",
    grid: 7,
    block: 128,
    args: () => [buffer(terms), empty(28), buffer(new Uint32Array(1)), empty(4), int(5000)],
    check: ([, , ticket, out]) => {
      const sum = [...terms].reduce((a, b) => a + b, 0);
      expect(new Float32Array(out ?? new ArrayBuffer(0))[0]).toBeCloseTo(sum, 3);
      expect(ints(ticket)).toEqual([0]);
    },
  },
  {
    name: "a grid that waits for all of its blocks",
    source: "sync",
    entry: "grid_barrier",
    grid: 6,
    block: 64,
    cooperative: true,
    args: () => [
      buffer(Int32Array.from({ length: 768 }, (_, i) => i % 384)),
      buffer(new Uint32Array(1)),
      int(9),
    ],
    check: ([out]) => {
      const expected = range(384, (i) => ((i + 64 * 9) % 384) + 9);
      expect(ints(out).slice(384)).toEqual(expected);
    },
  },
];
