import { afterAll, describe, expect, it } from "vitest";
import { topkMerge, topkPartials, topkTiling } from "../../kernels/topk/topk.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

const [X, PARTIAL_VALUES, PARTIAL_IDS, VALUES, IDS] = [0, 1, 2, 3, 4];

interface Best {
  readonly values: number[];
  readonly ids: number[];
}

/** By sorting: larger first, lower id among equals, NaN as -Infinity. */
function reference(row: Float32Array, k: number): Best {
  const value = (id: number): number => {
    const x = row[id] ?? Number.NaN;
    return Number.isNaN(x) ? Number.NEGATIVE_INFINITY : x + 0;
  };
  const order = Array.from(row.keys()).sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return x === y ? a - b : y > x ? 1 : -1;
  });
  const ids = order.slice(0, k);
  return {
    values: [
      ...ids.map(value),
      ...new Array<number>(k - ids.length).fill(Number.NEGATIVE_INFINITY),
    ],
    ids: [...ids, ...new Array<number>(k - ids.length).fill(0x7fffffff)],
  };
}

const merge = (rows: number, tiles: number, k: number, values?: number) =>
  topkMerge({
    partialValues: PARTIAL_VALUES,
    partialIds: PARTIAL_IDS,
    rows,
    tiles,
    k,
    ...(values === undefined ? {} : { values }),
    ids: IDS,
    label: "topk",
  });

const partials = (rows: number, width: number, k: number) =>
  topkPartials({
    x: X,
    rows,
    width,
    k,
    partialValues: PARTIAL_VALUES,
    partialIds: PARTIAL_IDS,
    label: "topk",
  });

describe("top-k's text", () => {
  it("of the partials has width and k", () => {
    expect(partials(3, 5000, 10).kernel.source).toMatchInlineSnapshot(`
      "// The 10 best of each 1024 values of rows of 5000.
      #include "prelude/all.cuh"
      #include "kernels/topk/topk.cuh"

      struct Config {
        static constexpr int kWidth = 5000;
        static constexpr int kTile = 1024;
        static constexpr int kTiles = 5;
        static constexpr int kK = 10;
        static constexpr int kThreads = 128;
      };

      extern "C" __global__ void __launch_bounds__(128)
      topk_partials_5000_k10_a39210(const float* x, float* partial_values, int* partial_ids) {
        grid_launch_dependents();
        grid_dependency_wait();
        topk_partials<Config>(x, partial_values, partial_ids);
      }
      "
    `);
  });

  it("of the merge has tiles and k, and no values for an argmax", () => {
    expect(merge(3, 200, 1).kernel.source).toMatchInlineSnapshot(`
      "// The 1 best of a row from the 1 best of its 200 tiles.
      #include "prelude/all.cuh"
      #include "kernels/topk/topk.cuh"

      struct Config {
        static constexpr int kTiles = 200;
        static constexpr int kK = 1;
        static constexpr int kWarps = 2;
      };

      extern "C" __global__ void __launch_bounds__(64)
      topk_merge_200_k1_ids_c04bf7(const float* partial_values, const int* partial_ids, int* ids) {
        grid_launch_dependents();
        grid_dependency_wait();
        topk_merge<Config>(partial_values, partial_ids, nullptr, ids);
      }
      "
    `);
  });

  it("does not depend on how many rows there are", () => {
    expect(new Set([1, 7, 64].map((rows) => partials(rows, 5000, 3).kernel.source)).size).toBe(1);
    expect(new Set([1, 7, 64].map((rows) => merge(rows, 5, 3).kernel.source)).size).toBe(1);
  });

  it("refuses a k that its kernels have no room for", () => {
    expect(() => partials(1, 100, 65)).toThrow(RangeError);
    expect(() => merge(1, 1, 0)).toThrow(RangeError);
  });
});

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("ranks", () => {}));

describe.skipIf(installedNvrtc().length === 0)("top-k on the emulator", async () => {
  const lab = installedNvrtc().length === 0 ? undefined : await KernelLab.open({ seed: 5 });
  afterAll(() => lab?.close());

  /** The k best of each row of x[rows, width]. */
  function run(x: Float32Array, rows: number, k: number): Best[] {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const width = x.length / rows;
    const { tiles } = topkTiling(width);
    const after = lab.run(
      [partials(rows, width, k), merge(rows, tiles, k, VALUES)],
      new Map<number, LabBuffer>([
        [X, x],
        [PARTIAL_VALUES, { bytes: rows * tiles * k * 4 }],
        [PARTIAL_IDS, { bytes: rows * tiles * k * 4 }],
        [VALUES, { bytes: rows * k * 4 }],
        [IDS, { bytes: rows * k * 4 }],
      ]),
    );
    expect(lab.findings()).toEqual([]);
    return split(after.get(VALUES), after.get(IDS), k);
  }

  it.each([
    [1, 1, 1],
    [3, 7, 1],
    [2, 7, 10],
    [2, 31, 31],
    [3, 1000, 64],
    [2, 1024, 3],
    [2, 1025, 10],
    [2, 5003, 40],
    [1, 40_000, 33],
  ])("ranks %d rows of %d values and keeps %d", (rows, width, k) => {
    const x = new Random(width + k).normals(rows * width);
    // Whole numbers of few bits: many ties.
    const tied = x.map((value) => Math.round(2 * value));
    for (const values of [x, tied]) {
      expect(run(values, rows, k)).toEqual(
        Array.from({ length: rows }, (_, row) =>
          reference(values.subarray(row * width, (row + 1) * width), k),
        ),
      );
    }
  });

  it("takes NaN for -Infinity, -0 for 0 and +Infinity for the largest", () => {
    const row = new Float32Array(2000).fill(Number.NaN);
    expect(run(row, 1, 2)).toEqual([
      { values: [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], ids: [0, 1] },
    ]);
    row[1500] = Number.NEGATIVE_INFINITY;
    row[700] = -0;
    row[1999] = 0;
    row[3] = -3e38;
    row[1400] = Number.POSITIVE_INFINITY;
    expect(run(row, 1, 5)).toEqual([
      {
        values: [Number.POSITIVE_INFINITY, 0, 0, Math.fround(-3e38), Number.NEGATIVE_INFINITY],
        ids: [1400, 700, 1999, 3, 0],
      },
    ]);
  });

  it("gives a row the same result beside 0, 1, 6, 32 or 63 others", () => {
    const width = 1300;
    const x = new Random(9).normals(64 * width);
    const all = run(x, 64, 5);
    for (const rows of [1, 2, 7, 33]) {
      const first = 64 - rows;
      expect(run(x.subarray(first * width), rows, 5)).toEqual(all.slice(first));
    }
  });

  it.each([
    [1, 4],
    [33, 1],
    [129, 3],
    [1000, 2],
    [5000, 1],
  ])("merges %d lists of %d, some of them not full", (tiles, k) => {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const random = new Random(tiles);
    const values = new Float32Array(tiles * k);
    const ids = new Int32Array(tiles * k);
    const all: { value: number; id: number }[] = [];
    for (let tile = 0; tile < tiles; tile++) {
      const list = Array.from({ length: random.int(tile === 0 ? k : 0, k) }, (_, i) => ({
        value: random.int(-3, 3),
        id: tile * 16 + i,
      })).sort((a, b) => b.value - a.value || a.id - b.id);
      all.push(...list);
      for (let rank = 0; rank < k; rank++) {
        values[tile * k + rank] = list[rank]?.value ?? Number.NEGATIVE_INFINITY;
        ids[tile * k + rank] = list[rank]?.id ?? 0x7fffffff;
      }
    }
    const after = lab.run(
      [merge(1, tiles, k, VALUES)],
      new Map<number, LabBuffer>([
        [PARTIAL_VALUES, values],
        [PARTIAL_IDS, ids],
        [VALUES, { bytes: k * 4 }],
        [IDS, { bytes: k * 4 }],
      ]),
    );
    expect(lab.findings()).toEqual([]);
    const wanted = all.sort((a, b) => b.value - a.value || a.id - b.id).slice(0, k);
    expect(split(after.get(VALUES), after.get(IDS), k)).toEqual([
      { values: wanted.map(({ value }) => value), ids: wanted.map(({ id }) => id) },
    ]);
  });
});

function split(values: Uint8Array | undefined, ids: Uint8Array | undefined, k: number): Best[] {
  const floats = new Float32Array(values?.slice().buffer ?? []);
  const words = new Int32Array(ids?.slice().buffer ?? []);
  return Array.from({ length: floats.length / k }, (_, row) => ({
    // Both zeros are one value here.
    values: [...floats.subarray(row * k, (row + 1) * k)].map((value) => value + 0),
    ids: [...words.subarray(row * k, (row + 1) * k)],
  }));
}
