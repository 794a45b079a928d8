import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rmsNorm } from "../../kernels/rms-norm/rms-norm.ts";
import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs RMS norms", () => {}));

interface Case {
  readonly rows: number;
  readonly width: number;
  readonly eps?: number;
  readonly weight?: FloatDType;
  readonly outputs?: readonly FloatDType[];
}

function call({ rows, width, eps = 1e-5, weight = "bf16", outputs = ["f32"] }: Case) {
  return rmsNorm({
    x: 0,
    weight: { buffer: 1, dtype: weight },
    rows,
    width,
    eps,
    outputs: outputs.map((dtype, i) => ({ buffer: 2 + i, dtype })),
    label: "norm",
  });
}

describe.skipIf(installedNvrtc().length === 0)("RMS norm kernels", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open({ seed: 3 });
  });
  afterAll(() => lab.close());

  function run(test: Case, x: Float32Array, weights: Float32Array): Uint8Array[] {
    const { rows, width, weight = "bf16", outputs = ["f32"] } = test;
    const after = lab.run(
      [call(test)],
      new Map<number, Float32Array | Uint8Array | { bytes: number }>([
        [0, x],
        [1, stored(weight, weights)],
        ...outputs.map((dtype, i) => [2 + i, { bytes: rows * width * byteSize(dtype) }] as const),
      ]),
    );
    return outputs.map((_, i) => after.get(2 + i) ?? new Uint8Array());
  }

  it.each<Case>([
    { rows: 3, width: 256 },
    { rows: 2, width: 1, weight: "f32" },
    { rows: 1, width: 37, weight: "f16", outputs: ["f16"] },
    { rows: 2, width: 66, outputs: ["bf16", "f32"] },
    { rows: 2, width: 4100, eps: 0.5, outputs: ["f32", "f16"] },
    { rows: 1, width: 9001, weight: "f32", outputs: ["bf16"] },
  ])("agree with the definition: %j", (test) => {
    const { rows, width, eps = 1e-5, weight = "bf16", outputs = ["f32"] } = test;
    const random = new Random(width);
    const x = random.normals(rows * width, 3);
    const weights = floatsOf(weight, stored(weight, random.normals(width)));
    const results = run(test, x, weights);
    for (const [i, dtype] of outputs.entries()) {
      const y = floatsOf(dtype, results[i]);
      // Half a unit in the last place of the stored type, and for f32 the few roundings on the way.
      const tolerance = { f32: 1e-6, f16: 2 ** -11, bf16: 2 ** -8 }[dtype] * 1.01;
      for (let row = 0; row < rows; row++) {
        const values = x.subarray(row * width, (row + 1) * width);
        const square = values.reduce((sum, value) => sum + value * value, 0) / width;
        for (const [column, value] of values.entries()) {
          const expected = (value / Math.sqrt(square + eps)) * (weights[column] ?? 0);
          const error = Math.abs((y[row * width + column] ?? Number.NaN) - expected);
          expect(error).toBeLessThanOrEqual(tolerance * Math.abs(expected) + 1e-7);
        }
      }
    }
    expect(lab.findings()).toEqual([]);
  });

  it("give a row the same bits among any number of rows", () => {
    const width = 200;
    const random = new Random(1);
    const x = random.normals(64 * width);
    const weights = random.normals(width);
    const all = run({ rows: 64, width }, x, weights)[0];
    for (const rows of [1, 2, 7, 33]) {
      const first = 64 - rows;
      const some = run({ rows, width }, x.slice(first * width), weights)[0];
      expect(some).toEqual(all?.slice(first * width * 4));
    }
    expect(lab.findings()).toEqual([]);
  });

  it("are one kernel for any number of rows", () => {
    const one = call({ rows: 1, width: 512 });
    const many = call({ rows: 64, width: 512 });
    expect(many.kernel).toEqual(one.kernel);
    expect(many.launch.grid).toEqual([64, 1, 1]);
  });

  it("hold a row of 8192 in registers", () => {
    const wide = call({ rows: 1, width: 8192, outputs: ["bf16", "f32"] });
    const random = new Random(2);
    run(
      { rows: 1, width: 8192, outputs: ["bf16", "f32"] },
      random.normals(8192),
      random.normals(8192),
    );
    expect(lab.resources.get(wide.kernel.entry)).toMatchObject({ spillBytes: 0, stackBytes: 0 });
  });
});

describe("the text of RMS norm kernels", () => {
  it("names width, eps and weight type, and takes a pointer per output", () => {
    expect(
      call({ rows: 5, width: 4096, outputs: ["bf16", "f32"] }).kernel.source,
    ).toMatchInlineSnapshot(`
      "// RMS norm over rows of 4096, weight bf16, stored as bf16 and f32.
      #include "prelude/all.cuh"
      #include "kernels/rms-norm/rms-norm.cuh"

      struct Config {
        static constexpr int kWidth = 4096;
        static constexpr int kThreads = 512;
        static constexpr int kVector = 4;
        static constexpr float kEps = 0.000009999999747378752f;
        using Weight = bf16;
      };

      extern "C" __global__ void __launch_bounds__(512)
      rms_norm_4096_bf16_to_bf16_f32_462e54(const float* x, const bf16* weight, bf16* y, float* y_1) {
        grid_launch_dependents();
        grid_dependency_wait();
        rms_norm<Config>(x, weight, y, y_1);
      }
      "
    `);
  });

  it("moves single elements of odd rows", () => {
    expect(call({ rows: 5, width: 37 }).kernel.source).toContain("kVector = 1;");
    expect(call({ rows: 5, width: 38 }).kernel.source).toContain("kVector = 2;");
  });
});
