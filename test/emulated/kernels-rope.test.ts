import { afterAll, describe, expect, it } from "vitest";
import { elementsOf } from "../../kernels/entry.ts";
import { type RopeOp, rope } from "../../kernels/rope/rope.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, type LabBuffer, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

const [X, POSITIONS, FREQUENCIES, OUT, START] = [0, 1, 2, 3, 4];
const positionsOf = elementsOf(POSITIONS, "int", "positions");

interface Case {
  readonly x: Float32Array;
  readonly positions: Int32Array;
  readonly frequencies: Float32Array;
  readonly heads: number;
}

function randomCase(rows: number, heads: number, headDim: number, seed = 1): Case {
  const random = new Random(seed);
  return {
    x: random.normals(rows * heads * headDim),
    positions: Int32Array.from({ length: rows }, () => random.int(0, 131_072)),
    frequencies: Float32Array.from(
      { length: headDim / 2 },
      (_, i) => 10_000 ** ((-2 * i) / headDim),
    ),
    heads,
  };
}

function call(
  { heads, positions, frequencies }: Case,
  dtype: FloatDType,
  more: Partial<RopeOp> = {},
) {
  return rope({
    x: X,
    rows: positions.length,
    heads,
    headDim: 2 * frequencies.length,
    positions: positionsOf,
    inverseFrequencies: FREQUENCIES,
    out: { buffer: OUT, dtype },
    label: "rope",
    ...more,
  });
}

/** In f64. */
function reference({ x, positions, frequencies, heads }: Case): Float64Array {
  const half = frequencies.length;
  return Float64Array.from(x, (value, at) => {
    const i = at % half;
    const row = Math.floor(at / (2 * half * heads));
    const angle = (positions[row] ?? 0) * (frequencies[i] ?? 0);
    const isLow = at % (2 * half) < half;
    const other = x[isLow ? at + half : at - half] ?? 0;
    return value * Math.cos(angle) + (isLow ? -other : other) * Math.sin(angle);
  });
}

describe("rope's text", () => {
  it("has the shape and the type it stores in", () => {
    expect(call(randomCase(3, 2, 64), "bf16").kernel.source).toMatchInlineSnapshot(`
      "// Rotary embedding of 2 heads of 64, stored as bf16.
      #include "prelude/all.cuh"
      #include "kernels/rope/rope.cuh"

      struct Config {
        static constexpr int kHeads = 2;
        static constexpr int kHeadDim = 64;
        static constexpr int kThreads = 256;
        using Out = bf16;
      };

      extern "C" __global__ void __launch_bounds__(256)
      rope_2x64_to_bf16_8d1655(const float* x, const float* inv_freq, bf16* out, const int* positions) {
        grid_launch_dependents();
        grid_dependency_wait();
        rope<Config>(x, inv_freq, out, 0, [&](int row) { return positions[row]; });
      }
      "
    `);
  });

  it("does not depend on how many rows there are", () => {
    const texts = [1, 7, 64].map((rows) => call(randomCase(rows, 2, 64), "bf16").kernel.source);
    expect(new Set(texts).size).toBe(1);
  });
});

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("turns pairs", () => {}));

describe.skipIf(installedNvrtc().length === 0)("rope on the emulator", async () => {
  const lab = installedNvrtc().length === 0 ? undefined : await KernelLab.open();
  afterAll(() => lab?.close());

  function run(of: Case, dtype: FloatDType, outBytes: number, start?: number): Uint8Array {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const more = start === undefined ? {} : { start: elementsOf(START, "int", "start") };
    const after = lab.run(
      [call(of, dtype, more)],
      new Map<number, LabBuffer>([
        [X, of.x],
        [POSITIONS, of.positions],
        [FREQUENCIES, of.frequencies],
        [OUT, new Uint8Array(outBytes)],
        [START, Int32Array.of(start ?? 0)],
      ]),
    );
    expect(lab.findings()).toEqual([]);
    return after.get(OUT) ?? new Uint8Array();
  }

  it.each([
    [5, 3, 64],
    [2, 1, 128],
    [3, 2, 2],
    [1, 5, 10],
    [2, 7, 80],
  ])("turns %d rows of %d heads of %d as f64 does, to 3e-7 of the pair", (rows, heads, headDim) => {
    const of = randomCase(rows, heads, headDim);
    const out = floatsOf("f32", run(of, "f32", of.x.length * 4));
    const wanted = reference(of);
    for (const [i, value] of out.entries()) {
      const pair = Math.hypot(of.x[i] ?? 0, wanted[i] ?? 0) + 1;
      expect([i, Math.abs(value - (wanted[i] ?? 0)) < 3e-7 * pair]).toEqual([i, true]);
    }
  });

  it("gives a row the same bits beside 0, 1, 6, 32 or 63 others", () => {
    const of = randomCase(64, 2, 32, 5);
    const rowBytes = 2 * 32 * 2;
    const all = run(of, "bf16", 64 * rowBytes);
    for (const rows of [1, 2, 7, 33]) {
      const first = 64 - rows;
      const part = {
        ...of,
        x: of.x.slice(first * 64),
        positions: of.positions.slice(first),
      };
      expect(run(part, "bf16", rows * rowBytes)).toEqual(all.slice(first * rowBytes));
    }
  });

  it.each(["f16", "bf16"] as const)(
    "rounds to %s into a cache at its slot, and nowhere else",
    (dtype) => {
      const of = randomCase(3, 2, 16, 7);
      const exact = floatsOf("f32", run(of, "f32", of.x.length * 4));
      const row = 2 * 16 * 2;
      const cache = run(of, dtype, 8 * row, 4);
      const wanted = new Uint8Array(8 * row);
      wanted.set(stored(dtype, exact), 4 * row);
      expect(cache).toEqual(wanted);
    },
  );
});
