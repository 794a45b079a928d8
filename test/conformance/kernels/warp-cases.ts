import {
  buffer,
  empty,
  expectResults,
  int,
  interestingInts,
  type KernelCase,
} from "./kernel-case.ts";

const N = 64;
const input = interestingInts(N, 21).map((v) => (v >> 8) % 100000);
const lanes = (f: (lane: number, warp: readonly number[], thread: number) => number): number[] =>
  Array.from({ length: N }, (_, i) => {
    const base = i - (i % 32);
    return f(i % 32, [...input.subarray(base, base + 32)], i) | 0;
  });
const at = (warp: readonly number[], lane: number): number => warp[lane] ?? 0;

const SHUFFLES: Record<string, number[]> = {
  idx: lanes((_l, w, i) => at(w, (i * 7 + 3) % 32)),
  "idx, width 8": lanes((l, w) => at(w, (l & 24) + 5)),
  up: lanes((l, w) => at(w, l < 3 ? l : l - 3)),
  "up, width 16": lanes((l, w) => at(w, l % 16 < 2 ? l : l - 2)),
  down: lanes((l, w) => at(w, l > 26 ? l : l + 5)),
  "down, width 4": lanes((l, w) => at(w, l % 4 === 3 ? l : l + 1)),
  xor: lanes((l, w) => at(w, l ^ 16)),
  "xor, width 8": lanes((l, w) => at(w, l ^ 3)),
  "xor of floats": lanes((l, w) => at(w, l ^ 1)),
  "down of 64 bits": lanes((l, w) => {
    const from = l > 22 ? l : l + 9;
    return Number(BigInt.asIntN(32, ((BigInt(at(w, from)) << 20n) | BigInt(from)) >> 13n));
  }),
  "halves of a warp": lanes((l, w) => at(w, l < 16 ? l ^ 4 : l > 29 ? l : l + 2)),
};
// The low bits of a 64-bit value hold the thread, not the lane, in the second warp.
SHUFFLES["down of 64 bits"] = Array.from({ length: N }, (_, i) => {
  const l = i % 32;
  const from = l > 22 ? i : i + 9;
  const value = (BigInt(input[from] ?? 0) << 20n) | BigInt(from);
  return Number(BigInt.asIntN(32, value >> 13n));
});

const ballot = (warp: readonly number[], test: (v: number) => boolean): number =>
  warp.reduce((bits, v, l) => bits | (test(v) ? 1 << l : 0), 0);
const sameLow = (warp: readonly number[]): boolean =>
  warp.every((v) => (v & 3) === (at(warp, 0) & 3));

const VOTES: Record<string, number[]> = {
  ballot: lanes((_l, w) => ballot(w, (v) => v > 0)),
  "all, true or not": lanes((_l, w) => Number(w.every((v) => v > -1000))),
  all: lanes((_l, w) => Number(w.every((v) => v > 0))),
  "any, rarely": lanes((_l, w) => Number(w.some((v) => v === 12345))),
  any: lanes((_l, w) => Number(w.some((v) => v > 0))),
  "match any": lanes((l, w) => ballot(w, (v) => (v & 3) === (at(w, l) & 3))),
  "match all": lanes((_l, w) => (sameLow(w) ? -1 + 1 : 0)),
  "match all alike": lanes(() => -1 + 1),
  "reduce add": lanes((_l, w) => w.reduce((a, b) => a + b, 0)),
  "reduce min": lanes((_l, w) => Math.min(...w)),
  "reduce max": lanes((_l, w) => Math.max(...w.map((v) => v >>> 0))),
  "reduce and": lanes((_l, w) => w.reduce((a, b) => a & (b | 5), -1)),
  "reduce or": lanes((_l, w) => w.reduce((a, b) => a | (b & 0xff0), 0)),
  "reduce xor": lanes((_l, w) => w.reduce((a, b) => a ^ b, 0)),
  activemask: lanes((l) => (l % 4 === 1 ? 0x22222222 : 0)),
  laneid: lanes((l) => l),
  lanemask_lt: lanes((l) => 2 ** l - 1),
};

const kernel = (name: string, entry: string, rows: Record<string, number[]>): KernelCase => ({
  name,
  source: "warp",
  entry,
  block: N,
  args: () => [buffer(input), empty(4 * N * Object.keys(rows).length), int(N)],
  check: ([, out]) =>
    expectResults(new Int32Array(out ?? new ArrayBuffer(0)), N, Object.entries(rows)),
});

export const warpCases: readonly KernelCase[] = [
  kernel("shuffles", "shuffles", SHUFFLES),
  kernel("votes, matches and reductions", "votes", VOTES),
];
