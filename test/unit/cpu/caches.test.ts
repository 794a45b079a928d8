import { expect, test } from "vitest";
import { fromBf16, toBf16 } from "../../../src/ir/float-formats.ts";
import { gaussians, KernelHarness } from "./kernel-harness.ts";

const harness = new KernelHarness();

test("rows are stored from the start slot on, in the cache's type", () => {
  const [slots, size, rows] = [9, 6, 3];
  const x = gaussians(rows * size);
  const cache = harness.stored("bf16", gaussians(slots * size, 2));
  const start = harness.i32([4]);
  harness.split(
    "cache_write_bf16",
    { x: harness.f32(x), cache: cache.address, start, size, rows, slots },
    size,
    4,
  );
  const want = cache.values.slice();
  want.set(
    x.map((value) => fromBf16(toBf16(value))),
    4 * size,
  );
  const bits = new Uint16Array(harness.memory.buffer, cache.address, slots * size);
  expect(Float32Array.from(bits, fromBf16)).toEqual(want);
  expect(harness.takeError()).toEqual([0, 0]);
});

test("rows of the cache's own type are copied by bytes, in whole rows or in parts", () => {
  for (const parts of [1, 3]) {
    const cache = harness.i32(Array.from({ length: 20 }, (_, at) => at));
    const x = harness.i32([101, 102, 103, 104]);
    const args = { x, cache, start: harness.i32([6]), rowBytes: 8, rows: 2, slots: 10 };
    harness.split("cache_copy", args, 8, parts);
    const want = Array.from({ length: 20 }, (_, at) => (at >= 12 && at < 16 ? 89 + at : at));
    expect([...harness.ints(cache, 20)]).toEqual(want);
  }
});

test("rows that do not fit in the cache are refused and nothing is written", () => {
  for (const bad of [7, -1, 2 ** 30]) {
    const cache = harness.f32(gaussians(9 * 2));
    const before = harness.view(cache, 18).slice();
    const start = harness.i32([bad]);
    const x = harness.f32(gaussians(6));
    harness.call("cache_write_f16", { x, cache, start, size: 2, rows: 3, slots: 9 }, 0, 2);
    expect(harness.takeError()).toEqual([2, bad]);
    harness.call("cache_copy", { x, cache, start, rowBytes: 8, rows: 3, slots: 9 }, 0, 8);
    expect(harness.takeError()).toEqual([2, bad]);
    expect(harness.view(cache, 18)).toEqual(before);
  }
});

test("accepted rows move down behind the committed ones, the rest stays", () => {
  const slots = 12;
  const values = Float32Array.from({ length: slots * 20 }, (_, at) => at);
  const cache = harness.f32(values);
  const args = {
    cache,
    path: harness.i32([0, 2, 5, 0]),
    pathLength: 4,
    count: harness.i32([3]),
    length: harness.i32([4]),
    rowBytes: 80,
    slots,
  };
  harness.split("cache_commit", args, 80, 3);
  const want = values.slice();
  want.copyWithin(5 * 20, 6 * 20, 7 * 20);
  want.copyWithin(6 * 20, 9 * 20, 10 * 20);
  expect(harness.view(cache, slots * 20)).toEqual(want);
  harness.call("cache_commit", { ...args, path: harness.i32([0, 9, 0, 0]) }, 0, 80);
  expect(harness.takeError()).toEqual([2, 13]);
  harness.call("cache_commit", { ...args, count: harness.i32([5]) }, 0, 80);
  expect(harness.takeError()).toEqual([2, 5]);
});

test("rows are gathered by index; a missing row is reported and gives zeros", () => {
  const x = harness.i32([1, 2, 3, 4, 5, 6]);
  const y = harness.allocate(32);
  const index = harness.i32([2, 0, 2, -1]);
  harness.split("gather", { x, index, y, rowBytes: 8, available: 3 }, 4, 2);
  expect([...harness.ints(y, 8)]).toEqual([5, 6, 1, 2, 5, 6, 0, 0]);
  expect(harness.takeError()).toEqual([1, -1]);
});

test("runs are copied from one stride to another", () => {
  const from = harness.i32([1, 2, 3, 4, 5, 6]);
  const to = harness.allocate(60);
  harness.split("copy_runs", { from, to: to + 4, bytes: 8, fromStride: 8, toStride: 20 }, 3, 2);
  expect([...harness.ints(to, 15)]).toEqual([0, 1, 2, 0, 0, 0, 3, 4, 0, 0, 0, 5, 6, 0, 0]);
});
