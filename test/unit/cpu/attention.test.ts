import fc from "fast-check";
import { expect, test } from "vitest";
import type { FloatDType } from "../../../src/ir/dtype.ts";
import { gaussians, KernelHarness } from "./kernel-harness.ts";

const harness = new KernelHarness();
const types: FloatDType[] = ["f32", "f16", "bf16"];

interface Case {
  heads: number;
  groups: number;
  width: number;
  slots: number;
  length: number;
  /** Slots of each row, in ascending order. */
  visible: number[][];
}

function setUp(stored: FloatDType, shape: Case, seed = 1) {
  const { heads, groups, width, slots, length, visible } = shape;
  const rows = visible.length;
  const queries = gaussians(rows * heads * width, seed);
  const keys = harness.stored(stored, gaussians(slots * groups * width, seed + 1));
  const values = harness.stored(stored, gaussians(slots * groups * width, seed + 2));
  return {
    queries,
    keys: keys.values,
    values: values.values,
    args: {
      q: harness.f32(queries),
      keys: keys.address,
      values: values.address,
      length: harness.i32([length]),
      mask: 0,
      words: 0,
      y: harness.allocate(rows * heads * width * 4),
      rows,
      heads,
      groups,
      width,
      slots,
      scale: 1 / Math.sqrt(width),
    },
  };
}

function reference(shape: Case, data: ReturnType<typeof setUp>): Float64Array {
  const { heads, groups, width, visible } = shape;
  const y = new Float64Array(visible.length * heads * width);
  for (const [row, slots] of visible.entries()) {
    for (let head = 0; head < heads; head++) {
      const group = Math.floor(head / (heads / groups));
      const at = (slot: number) => (slot * groups + group) * width;
      const start = (row * heads + head) * width;
      const scores = slots.map((slot) => {
        let sum = 0;
        for (let i = 0; i < width; i++)
          sum += (data.queries[start + i] ?? 0) * (data.keys[at(slot) + i] ?? 0);
        return sum * data.args.scale;
      });
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const [index, slot] of slots.entries()) {
        for (let i = 0; i < width; i++) {
          y[start + i] =
            (y[start + i] ?? 0) +
            ((weights[index] ?? 0) / total) * (data.values[at(slot) + i] ?? 0);
        }
      }
    }
  }
  return y;
}

const counted = (count: number) => Array.from({ length: count }, (_, at) => at);

test.each(types)("%s cache: causal attention agrees with f64", (stored) => {
  for (const [heads, groups, width, length, rows] of [
    [1, 1, 4, 0, 1],
    [4, 2, 64, 37, 3],
    [6, 3, 10, 5, 9],
    [2, 1, 2, 1, 4],
    [3, 3, 128, 130, 2],
    [8, 1, 6, 3, 5],
  ] as const) {
    const visible = counted(rows).map((row) => counted(length + row + 1));
    const shape: Case = { heads, groups, width, slots: length + rows + 3, length, visible };
    const data = setUp(stored, shape);
    harness.split(`attention_${stored}`, data.args, rows * heads, 3);
    expect(harness.takeError()).toEqual([0, 0]);
    const got = harness.view(data.args.y, rows * heads * width);
    for (const [at, want] of reference(shape, data).entries()) {
      expect(got[at]).toBeCloseTo(want, 5);
    }
  }
});

test("tree attention sees the prefix and the slots of its bits, and only those", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 70 }),
      fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { maxLength: 9 }), {
        minLength: 1,
        maxLength: 6,
      }),
      (length, trees) => {
        const visible = trees.map((bits) => [
          ...counted(length),
          ...bits.sort((a, b) => a - b).map((bit) => length + bit),
        ]);
        const shape: Case = {
          heads: 2,
          groups: 1,
          width: 12,
          slots: length + 100,
          length,
          visible,
        };
        const data = setUp("f32", shape, length + 1);
        const words = trees.flatMap((bits) => {
          let mask = 0n;
          for (const bit of bits) mask |= 1n << BigInt(bit);
          return [BigInt.asUintN(64, mask), mask >> 64n];
        });
        harness.split(
          "attention_f32",
          { ...data.args, mask: harness.u64(words), words: 2 },
          trees.length * 2,
          3,
        );
        const got = harness.view(data.args.y, trees.length * 24);
        for (const [at, want] of reference(shape, data).entries()) {
          expect(got[at]).toBeCloseTo(want, 5);
        }
      },
    ),
    { numRuns: 30, seed: 3 },
  );
});

test.each(types)(
  "%s cache: a token has the same bits in a tree, in a chunk and alone",
  (stored) => {
    const [heads, groups, width, length] = [4, 2, 20, 21];
    // The tree's third branch: nodes 0, 3 and 5, whose keys lie scattered behind the prefix.
    const path = [0, 3, 5];
    const shape: Case = { heads, groups, width, slots: 40, length, visible: [[], [], []] };
    const data = setUp(stored, shape);
    const masks = [0b1n, 0b1001n, 0b101001n];
    harness.call(
      `attention_${stored}`,
      { ...data.args, mask: harness.u64(masks), words: 1 },
      0,
      3 * heads,
    );
    const inTree = harness.view(data.args.y, 3 * heads * width).slice();
    // The same keys moved together, as a commit does.
    const bytes = (data.keys.length / 40) * (stored === "f32" ? 4 : 2);
    const memory = new Uint8Array(harness.memory.buffer);
    for (const cache of [data.args.keys, data.args.values]) {
      for (const [at, node] of path.entries()) {
        const from = cache + (length + node) * bytes;
        memory.copyWithin(cache + (length + at) * bytes, from, from + bytes);
      }
    }
    harness.call(`attention_${stored}`, data.args, 0, 3 * heads);
    expect(harness.view(data.args.y, inTree.length)).toEqual(inTree);
    for (const row of [0, 1, 2]) {
      const q = data.args.q + 4 * row * heads * width;
      const alone = { ...data.args, q, rows: 1, length: harness.i32([length + row]) };
      harness.split(`attention_${stored}`, alone, heads, 2);
      expect(harness.view(data.args.y, heads * width)).toEqual(
        inTree.subarray(row * heads * width, (row + 1) * heads * width),
      );
    }
  },
);

test("a row that sees nothing gives zeros, and slots past the cache are refused", () => {
  const shape: Case = { heads: 1, groups: 1, width: 4, slots: 4, length: 0, visible: [[]] };
  const data = setUp("f32", shape);
  const args = { ...data.args, mask: harness.u64([0n]), words: 1 };
  harness.view(args.y, 4).fill(9);
  harness.call("attention_f32", args, 0, 1);
  expect([...harness.view(args.y, 4)]).toEqual([0, 0, 0, 0]);
  harness.call("attention_f32", { ...args, mask: harness.u64([1n << 4n]) }, 0, 1);
  expect(harness.takeError()).toEqual([2, 4]);
  harness.call("attention_f32", { ...data.args, length: harness.i32([4]) }, 0, 1);
  expect(harness.takeError()[0]).toBe(2);
});
