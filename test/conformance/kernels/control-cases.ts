import { expect } from "vitest";
import { buffer, empty, int, interestingInts, type KernelCase } from "./kernel-case.ts";

const ints = (out: ArrayBuffer | undefined): number[] => [
  ...new Int32Array(out ?? new ArrayBuffer(0)),
];
const range = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));

function branches(i: number): number {
  let r = 0;
  if (i & 1) {
    r += 10;
    if (i & 2) {
      r += 100;
      if (i % 7 === 0) r *= 2;
    } else r -= 5;
  } else if (i & 4) r = i * 3;
  else for (let j = 0; j < i % 9; j++) r += j * i;
  switch (i % 6) {
    case 0:
      return r ^ 1;
    case 1:
      return (r + 7) * 3;
    case 2:
      return r * 3;
    case 4:
      return 0 - r;
    default:
      return r + 1000;
  }
}

const loopInput = interestingInts(64, 5).map((v) => Math.abs(v % 20));

function loops(i: number): number {
  let r = 0;
  outer: for (let j = 0; j < 50; j++) {
    if (j > i % 17) break;
    if ((j + i) % 3 === 0) continue;
    for (let k = 0; k < 20; k++) {
      r += loopInput[(j * k + i) & 63] ?? 0;
      if (r > 500 + i) break outer;
      if (k > j) break;
    }
  }
  let n = i + 1;
  let steps = 0;
  while (n !== 1 && steps < 200) {
    n = n % 2 ? 3 * n + 1 : n / 2;
    steps++;
  }
  return r * 1000 + steps;
}

function exits(i: number): number {
  if (i % 5 === 0) return -1;
  const base = i - (i % 128);
  let r = base + (((i % 128) + 1) % 128);
  if (i % 5 === 1) return r;
  for (let j = 0; j < 10; j++) {
    r += j;
    if (r % 11 === 0) return 0 - r;
  }
  return r;
}

function called(i: number): number {
  let n = i + 3;
  let count = 0;
  for (let j = 0; j < 5; j++) {
    if (n > 1) {
      count++;
      n = n % 2 ? 3 * n + 1 : n / 2;
    }
  }
  return n * 10 + count;
}

function barriers(rounds: number): number[] {
  let tile = range(96, (t) => t);
  for (let round = 0; round < rounds; round++) {
    tile = range(96, (t) => {
      let v = tile[(t + round + 1) % 96] ?? 0;
      if (t % 3 === round % 3) for (let j = 0; j < t % 4; j++) v += j;
      return v + 1;
    });
    if (round % 2) for (let t = 0; t < 48; t++) tile[t] = (tile[t] ?? 0) + (tile[t + 48] ?? 0);
  }
  return tile;
}

export const controlCases: readonly KernelCase[] = [
  {
    name: "branches that nest and a switch",
    source: "control",
    entry: "branches",
    grid: 3,
    block: 100,
    args: () => [empty(1200)],
    check: ([out]) => expect(ints(out)).toEqual(range(300, branches)),
  },
  {
    name: "loops left early, continued and jumped out of",
    source: "control",
    entry: "loops",
    grid: 2,
    block: 128,
    args: () => [buffer(loopInput), empty(1024)],
    check: ([, out]) => expect(ints(out)).toEqual(range(256, loops)),
  },
  {
    name: "threads that leave at different points",
    source: "control",
    entry: "exits",
    grid: 2,
    block: 128,
    args: () => [buffer(new Int32Array(256)), int(201)],
    check: ([out]) => expect(ints(out)).toEqual(range(256, (i) => (i < 201 ? exits(i) : 0))),
  },
  {
    name: "functions that are not inlined",
    source: "control",
    entry: "calls",
    grid: 1,
    block: 64,
    args: () => [empty(256), buffer(Float32Array.of(0.5, 2, ...new Array<number>(64).fill(0)))],
    check: ([out, weights]) => {
      expect(ints(out)).toEqual(range(64, called));
      const n = range(64, (i) => Math.floor(called(i) / 10));
      expect([...new Float32Array(weights ?? new ArrayBuffer(0))].slice(2)).toEqual(
        n.map((value, i) => i * 0.5 + value * 2),
      );
    },
  },
  {
    name: "barriers in a loop with divergence between them",
    source: "control",
    entry: "barriers",
    grid: 2,
    block: 96,
    args: () => [empty(384), int(7)],
    check: ([out]) => expect(ints(out)).toEqual(barriers(7)),
  },
];
