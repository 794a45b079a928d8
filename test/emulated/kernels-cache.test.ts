import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CacheCommitOp, cacheCommit, cacheWrite } from "../../kernels/cache/cache.ts";
import { elementsOf } from "../../kernels/entry.ts";
import { byteSize, type DType, type FloatDType } from "../../src/ir/dtype.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs caches", () => {}));

const pathBuffer = 1000;

/** Caches of every group numbered from 0 on; path 1000, count 1001, length 1002. */
function commit(
  groups: readonly { caches: number; dtype: DType; rowSize: number }[],
  pathLength: number,
) {
  let next = 0;
  const op: CacheCommitOp = {
    groups: groups.map(({ caches, dtype, rowSize }) => ({
      caches: Array.from({ length: caches }, () => next++),
      dtype,
      rowSize,
    })),
    path: elementsOf(pathBuffer, "int", "path"),
    count: elementsOf(1001, "int", "count"),
    length: elementsOf(1002, "int", "length"),
    pathLength,
    label: "commit",
  };
  return { op, calls: cacheCommit(op) };
}

function write(rows: number, rowSize: number, dtype: DType, from: DType = "f32") {
  const type = { f32: "float", f16: "f16", bf16: "bf16", i32: "int", u64: "u64" }[from];
  return cacheWrite({
    x: elementsOf(0, type, "x"),
    cache: { buffer: 1, dtype },
    rowSize,
    rows,
    start: elementsOf(2, "int", "start"),
    label: "write_keys",
  });
}

describe.skipIf(installedNvrtc().length === 0)("cache kernels", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open({ seed: 7 });
  });
  afterAll(() => lab.close());

  it.each<{ rows: number; rowSize: number; dtype: FloatDType; from: FloatDType }>([
    { rows: 3, rowSize: 64, dtype: "bf16", from: "f32" },
    { rows: 33, rowSize: 15, dtype: "f16", from: "f32" },
    { rows: 1, rowSize: 7, dtype: "f32", from: "bf16" },
    { rows: 2, rowSize: 24, dtype: "bf16", from: "bf16" },
  ])("store rows from a slot on and nothing else: %j", ({ rows, rowSize, dtype, from }) => {
    const random = new Random(rows);
    const x = stored(from, random.normals(rows * rowSize));
    const before = stored(dtype, random.normals(40 * rowSize));
    const after = lab.run(
      [write(rows, rowSize, dtype, from)],
      new Map<number, Uint8Array | Int32Array>([
        [0, x],
        [1, before],
        [2, Int32Array.of(5)],
      ]),
    );
    const expected = new Uint8Array(before);
    expected.set(stored(dtype, floatsOf(from, x)), 5 * rowSize * byteSize(dtype));
    expect(after.get(1)).toEqual(expected);
    expect(lab.findings()).toEqual([]);
  });

  it("store token ids as they are", () => {
    const after = lab.run(
      [write(3, 1, "i32", "i32")],
      new Map([
        [0, Int32Array.of(-7, 0x7fffffff, 16777217)],
        [1, new Int32Array(6)],
        [2, Int32Array.of(2)],
      ]),
    );
    expect(new Int32Array(after.get(1)?.buffer ?? new ArrayBuffer(0))).toEqual(
      Int32Array.of(0, 0, -7, 0x7fffffff, 16777217, 0),
    );
    expect(lab.findings()).toEqual([]);
  });

  it("move accepted rows down in all caches, whatever the size of their rows", () => {
    const groups = [
      { caches: 3, dtype: "bf16", rowSize: 40 },
      { caches: 2, dtype: "f32", rowSize: 20 },
      { caches: 2, dtype: "f16", rowSize: 3 },
      { caches: 1, dtype: "i32", rowSize: 1 },
      { caches: 1, dtype: "u64", rowSize: 1 },
    ] as const;
    const slots = 48;
    const random = new Random(11);
    for (const [count, path] of [
      [1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
      [3, [0, 2, 9, 0, 0, 0, 0, 0, 0, 0]],
      [4, [0, 1, 2, 7, 0, 0, 0, 0, 0, 0]],
      // Longer than what a thread reads at once, and rows that overlap from one batch to the next.
      [10, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
      [10, [0, 1, 2, 3, 4, 5, 6, 9, 20, 30]],
      [0, [0, 3, 0, 0, 0, 0, 0, 0, 0, 0]],
    ] as const) {
      const { op, calls } = commit(groups, path.length);
      expect(calls).toHaveLength(1);
      const buffers = new Map<number, Uint8Array | Int32Array>([
        [pathBuffer, Int32Array.from(path)],
        [1001, Int32Array.of(count)],
        [1002, Int32Array.of(13)],
      ]);
      const expected = new Map<number, Uint8Array>();
      for (const { caches, dtype, rowSize } of op.groups) {
        const bytes = rowSize * byteSize(dtype);
        for (const cache of caches) {
          const before = Uint8Array.from({ length: slots * bytes }, () => random.int(0, 255));
          const moved = before.slice();
          for (let i = 0; i < count; i++) {
            const from = (13 + (path[i] ?? 0)) * bytes;
            moved.set(before.subarray(from, from + bytes), (13 + i) * bytes);
          }
          buffers.set(cache, before);
          expected.set(cache, moved);
        }
      }
      const after = lab.run(calls, buffers);
      for (const [cache, bytes] of expected)
        expect([cache, after.get(cache)]).toEqual([cache, bytes]);
    }
    expect(lab.findings()).toEqual([]);
  });

  it("move rows of more caches than the parameters of one launch can name", () => {
    const { calls } = commit([{ caches: 600, dtype: "i32", rowSize: 1 }], 3);
    expect(calls.map(({ launch }) => launch.grid[0])).toEqual([2, 1]);
    const buffers = new Map<number, Int32Array>([
      [pathBuffer, Int32Array.of(0, 2, 3)],
      [1001, Int32Array.of(3)],
      [1002, Int32Array.of(1)],
    ]);
    for (let cache = 0; cache < 600; cache++)
      buffers.set(cache, Int32Array.of(cache, 1, 2, 3, 4, 5));
    const after = lab.run(calls, buffers);
    for (let cache = 0; cache < 600; cache++)
      expect(new Int32Array(after.get(cache)?.buffer ?? new ArrayBuffer(0))).toEqual(
        Int32Array.of(cache, 1, 3, 4, 4, 5),
      );
    expect(lab.findings()).toEqual([]);
  });
});

describe("the text of cache kernels", () => {
  it("rounds floats to the type of the cache", () => {
    expect(write(7, 1024, "bf16").kernel.source).toMatchInlineSnapshot(`
      "// Rows of 1024 stored as bf16 from a slot on.
      #include "prelude/all.cuh"
      #include "kernels/cache/cache.cuh"

      constexpr int kRowSize = 1024;

      extern "C" __global__ void __launch_bounds__(256)
      cache_write_1024_bf16_30abe5(const float* x, const int* start, bf16* cache, int elements) {
        grid_launch_dependents();
        grid_dependency_wait();
        cache_write<kRowSize>(cache, start[0], elements, [&](int i) { return from_float<bf16>(to_float(x[i])); });
      }
      "
    `);
  });

  it("is one for any number of rows", () => {
    expect(write(64, 1024, "bf16").kernel).toEqual(write(1, 1024, "bf16").kernel);
  });

  it("gives each size of rows a table and blocks of its own", () => {
    const { calls } = commit(
      [
        { caches: 64, dtype: "bf16", rowSize: 1024 },
        { caches: 1, dtype: "i32", rowSize: 1 },
      ],
      5,
    );
    expect(calls[0]?.launch.grid).toEqual([33, 1, 1]);
    expect(calls[0]?.kernel.source).toMatchInlineSnapshot(`
      "// Accepted rows of 65 caches moved down, paths of 5.
      #include "prelude/all.cuh"
      #include "kernels/cache/cache.cuh"

      constexpr int kPathLength = 5;
      constexpr int kRowUnits2048 = 128;  // Vec<u32, 4> in a row of 2048 bytes
      constexpr int kRowUnits4 = 1;  // u32 in a row of 4 bytes

      extern "C" __global__ void __launch_bounds__(256)
      cache_commit_65x2048_4b_path5_ca6ca2(const int* path_1, const int* count_1, const int* length_1, const __grid_constant__ Table<Vec<u32, 4>, 64> caches_2048, const __grid_constant__ Table<u32, 1> caches_4) {
        grid_launch_dependents();
        grid_dependency_wait();
        const int count = count_1[0];
        const int length = length_1[0];
        const auto path = [&](int i) { return path_1[i]; };
        const int thread = static_cast<int>(blockIdx.x * 256 + threadIdx.x);
        if (blockIdx.x < 32)
          cache_commit<kRowUnits2048, kPathLength>(caches_2048, thread, path, count, length);
        else if (blockIdx.x < 33)
          cache_commit<kRowUnits4, kPathLength>(caches_4, thread - 8192, path, count, length);
      }
      "
    `);
  });
});
