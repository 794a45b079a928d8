import { expect } from "vitest";
import {
  buffer,
  empty,
  int,
  interestingInts,
  type KernelCase,
  smallFloats,
} from "./kernel-case.ts";

const WIDTH_BYTES = 512;
const SIZES = [1, 2, 4, 8, 4, 8, 8, 16, 16, 2];
const widthInput = Uint8Array.from(
  { length: WIDTH_BYTES * SIZES.length },
  (_, i) => (i * 37 + 11) & 255,
);

const TABLE = [3, 1, 4, 1, 5, 9, 2, 6];
const spaceInput = interestingInts(32, 6).map((v) => v % 1000);

function spaces(): number[] {
  const local = (t: number, j: number): number =>
    (spaceInput[(t + j) % 32] ?? 0) * (TABLE[j % 8] ?? 0);
  const dynamic = Array.from({ length: 32 }, (_, t) => local(t, (spaceInput[t] ?? 0) & 15));
  const bias = [1.5, -2.5, 100];
  return Array.from({ length: 32 }, (_, t) => {
    const value = t % 3 === 0 ? dynamic[31 - t] : t % 3 === 1 ? local(t, t % 16) : spaceInput[t];
    const small = ((t + 1) % 32) - 100;
    return ((value ?? 0) * -7 + Math.trunc(bias[t % 3] ?? 0) + 65 + small) | 0;
  });
}

/** struct Settings { int scale; float bias[3]; char mode; } */
function settings(): Uint8Array {
  const view = new DataView(new ArrayBuffer(20));
  view.setInt32(0, -7, true);
  for (const [i, value] of [1.5, -2.5, 100].entries()) view.setFloat32(4 + 4 * i, value, true);
  view.setInt8(16, 65);
  return new Uint8Array(view.buffer);
}

const floats = smallFloats(3000, 12);
const [WIDTH, HEIGHT] = [50, 37];
const image = smallFloats(WIDTH * HEIGHT, 3);

export const memoryCases: readonly KernelCase[] = [
  {
    name: "loads and stores of every width",
    source: "memory",
    entry: "widths",
    block: 32,
    args: () => [buffer(widthInput), buffer(new Uint8Array(widthInput.length)), int(WIDTH_BYTES)],
    check: ([, out]) => {
      const expected = widthInput.map((byte, i) => {
        const size = SIZES[Math.floor(i / WIDTH_BYTES)] ?? 0;
        return i % WIDTH_BYTES < size * 32 ? byte : 0;
      });
      expect(new Uint8Array(out ?? new ArrayBuffer(0))).toEqual(expected);
    },
  },
  {
    name: "constant, global, shared and local memory through generic pointers",
    source: "memory",
    entry: "spaces",
    block: 32,
    sharedBytes: 128,
    args: () => [
      buffer(spaceInput),
      empty(132),
      { kind: "scalar", arg: { type: "bytes", value: settings(), align: 4 } },
    ],
    check: ([, out]) => {
      expect([...new Int32Array(out ?? new ArrayBuffer(0))]).toEqual([...spaces(), 5]);
    },
  },
  {
    name: "a strided grid-stride loop",
    source: "memory",
    entry: "strided",
    grid: 3,
    block: 64,
    args: () => [buffer(floats), empty(4 * 999), int(999), int(3)],
    check: ([, out]) => {
      const expected = Array.from({ length: 999 }, (_, i) => Math.fround((floats[3 * i] ?? 0) * 2));
      expect([...new Float32Array(out ?? new ArrayBuffer(0))]).toEqual(expected);
    },
  },
  {
    name: "a transpose through shared memory, ragged at the edges",
    source: "memory",
    entry: "transpose",
    grid: { x: 4, y: 3, z: 1 },
    block: { x: 16, y: 16, z: 1 },
    args: () => [buffer(image), empty(4 * WIDTH * HEIGHT), int(WIDTH), int(HEIGHT)],
    check: ([, out]) => {
      const seen = new Float32Array(out ?? new ArrayBuffer(0));
      const expected = Float32Array.from(
        { length: WIDTH * HEIGHT },
        (_, i) => image[(i % HEIGHT) * WIDTH + Math.floor(i / HEIGHT)] ?? 0,
      );
      expect(seen).toEqual(expected);
    },
  },
];
