import { expect, test } from "vitest";
import { philox4x32, uniform, type Words4 } from "../../../src/ir/reference/philox.ts";

const ones = 0xffff_ffff;

/** Known answers published with the Random123 library for philox4x32 with 10 rounds. */
const knownAnswers: readonly [string, Words4, readonly [number, number], Words4][] = [
  ["zeros", [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [
    "ones",
    [ones, ones, ones, ones],
    [ones, ones],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    "the digits of pi",
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

test.each(knownAnswers)(
  "philox4x32-10 gives the known answer for %s",
  (_, counter, key, answer) => {
    expect(philox4x32(counter, key)).toEqual(answer);
  },
);

test("a uniform number is 53 bits of the block of its position", () => {
  const w0 = BigInt(0x6627e8d5 >>> 5);
  const w1 = BigInt(0xe169c58d >>> 6);
  expect(uniform(0n, 0)).toBe(Number((w0 << 26n) | w1) / 2 ** 53);
});

test("a seed is the same as a number and as words, and all its bits count", () => {
  expect(uniform(0x0123_4567_89ab_cdefn, 5)).toBe(uniform([0x89ab_cdef, 0x0123_4567], 5));
  expect(uniform(1n << 63n, 5)).not.toBe(uniform(0n, 5));
  expect(uniform(0n, 2 ** 32 + 5)).not.toBe(uniform(0n, 5));
});

test("uniform numbers fill [0, 1) evenly, and neighbours are independent", () => {
  const size = 40_000;
  const cells = new Float64Array(64);
  for (let position = 0; position < size; position++) {
    const [u, v] = [uniform(42n, position), uniform(42n, position + 1)];
    expect(u >= 0 && u < 1).toBe(true);
    const cell = Math.floor(u * 8) * 8 + Math.floor(v * 8);
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
  const expected = size / 64;
  const chiSquare = cells.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  // 63 degrees of freedom: above 124 with probability 1e-5.
  expect(chiSquare).toBeLessThan(124);
});
