import { expect } from "vitest";
import type { TensorMap } from "../../../src/ir/program.ts";
import {
  buffer,
  empty,
  int,
  interestingInts,
  type KernelCase,
  smallFloats,
} from "./kernel-case.ts";
import { warpgroupCase } from "./matrix-cases.ts";

const range = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
const ints = (out: ArrayBuffer | undefined): number[] => [
  ...new Int32Array(out ?? new ArrayBuffer(0)),
];

const bytes = Uint8Array.from({ length: 1536 }, (_, i) => (i * 91 + 7) & 255);

function sizes(): number[] {
  return range(1536, (i) => {
    const byte = bytes[i] ?? 0;
    if (i < 128) return byte;
    if (i >= 512 && i < 768) return (i - 512) % 8 < Math.floor((i - 512) / 8) % 9 ? byte : 0;
    if (i >= 1024) return Math.floor((i - 1024) / 16) % 2 === 1 ? byte : 0;
    return 0;
  });
}

const STEPS = 13;
const rows = smallFloats(128 * STEPS, 70);

/** In f32, in the kernel's order. */
function ring(t: number): number {
  let sum = 0;
  for (let s = 0; s < STEPS; s++) {
    for (let j = 0; j < 4; j++) {
      sum += (rows[s * 128 + ((t + 32 * j) % 128)] ?? 0) * (s + 1);
    }
  }
  return sum;
}

function stream(t: number): number {
  let sum = 0;
  for (let s = 0; s < STEPS; s++) sum += (rows[s * 128 + ((t * 5 + s) % 128)] ?? 0) * (s + 1);
  return sum;
}

function expectSums(out: ArrayBuffer | undefined, f: (t: number) => number): void {
  for (const [t, value] of new Float32Array(out ?? new ArrayBuffer(0)).entries()) {
    expect(Math.abs(value - f(t)), `thread ${t}`).toBeLessThan(1e-4);
  }
}

const BOXES = 3;
const matrix: TensorMap = { dtype: "bf16", rows: 25, columns: 72, boxRows: 16 };

/** Element of a box in shared memory: 16-byte pieces swizzled by the row, zeros past the matrix. */
function boxElement(round: number, i: number): number {
  const [row, at] = [Math.floor(i / 64), i % 64];
  const column = round * 64 - 32 + ((at >> 3) ^ (row % 8)) * 8 + (at % 8);
  const { rows, columns } = matrix;
  return row < rows && column >= 0 && column < columns ? 1 + row * columns + column : 0;
}

const words = interestingInts(256, 44).map((v) => v >> 4);

export const asyncCases: readonly KernelCase[] = [
  {
    name: "cp.async of every size, padded with zeros",
    source: "async",
    entry: "sizes",
    block: 32,
    args: () => [buffer(bytes), empty(1536), int(512)],
    check: ([, out]) => expect([...new Uint8Array(out ?? new ArrayBuffer(0))]).toEqual(sizes()),
  },
  {
    name: "a ring of four cp.async stages",
    source: "async",
    entry: "ring",
    block: 32,
    args: () => [buffer(rows), empty(128), int(STEPS)],
    check: ([, out]) => expectSums(out, ring),
  },
  {
    name: "an mbarrier that cp.async arrives at",
    source: "async",
    entry: "arrivals",
    block: 64,
    args: () => [buffer(words), empty(1024)],
    check: ([, out]) => {
      expect(ints(out)).toEqual(range(256, (i) => (words[(i + 77) % 256] ?? 0) + 1));
    },
  },
  {
    name: "blocks of a cluster that read each other's shared memory",
    source: "hopper",
    entry: "neighbours",
    grid: 8,
    block: 64,
    cluster: 4,
    args: () => [buffer(interestingInts(512, 1).map((v) => v >> 3)), empty(2048)],
    check: ([, out]) => {
      const input = interestingInts(512, 1).map((v) => v >> 3);
      const expected = range(512, (i) => {
        const [block, t] = [Math.floor(i / 64), i % 64];
        const other = block - (block % 4) + (((block % 4) + 1) % 4);
        return (input[other * 64 + 63 - t] ?? 0) * 2 + (block % 4);
      });
      expect(ints(out)).toEqual(expected);
    },
  },
  {
    name: "a ring of bulk copies with full and empty mbarriers",
    source: "hopper",
    entry: "stream",
    block: 160,
    nvrtcMajor: 12,
    args: () => [buffer(rows), empty(512), int(STEPS)],
    check: ([, out]) => expectSums(out, stream),
  },
  {
    name: "halves of boxes through a tensor map to both blocks of a cluster",
    source: "hopper",
    entry: "boxes",
    grid: 4,
    block: 64,
    sharedBytes: 4096,
    cluster: 2,
    nvrtcMajor: 12,
    args: () => [
      { kind: "matrix", data: Uint16Array.from({ length: 25 * 72 }, (_, i) => i + 1), map: matrix },
      empty(4 * BOXES * 4096),
      int(BOXES),
    ],
    check: ([, out]) => {
      const expected = range(4 * BOXES * 2048, (i) =>
        boxElement(Math.floor(i / 2048) % BOXES, i % 2048),
      );
      expect([...new Uint16Array(out ?? new ArrayBuffer(0))]).toEqual(expected);
    },
  },
  warpgroupCase,
];
