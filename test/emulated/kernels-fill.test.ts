import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fillKernel } from "../../kernels/fill/fill.ts";
import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { SyntheticValues } from "../../src/ir/program.ts";
import { syntheticElements } from "../../src/weights/synthetic.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, stored } from "../helpers/kernel-lab.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("fills weights", () => {}));

const normal: SyntheticValues = { kind: "normal", scale: 0.0157, seed: -1234567 };

describe.skipIf(installedNvrtc().length === 0)("the fill kernel", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open();
  });
  afterAll(() => lab.close());

  it.each<{ dtype: FloatDType; values: SyntheticValues; first: number; elements: number }>([
    { dtype: "bf16", values: normal, first: 0, elements: 5000 },
    { dtype: "f16", values: normal, first: 77, elements: 1023 },
    { dtype: "f32", values: normal, first: 2 ** 31 - 5, elements: 13 },
    {
      dtype: "f32",
      values: { kind: "normal", scale: 3, seed: 0xfedcba98 },
      first: 9,
      elements: 400,
    },
    { dtype: "bf16", values: { kind: "constant", value: 1 }, first: 5, elements: 33 },
    { dtype: "f32", values: { kind: "constant", value: -0.1 }, first: 0, elements: 1 },
  ])("writes the host's bits and nothing behind them: %j", (test) => {
    const { dtype, values, first, elements } = test;
    const expected = stored(dtype, syntheticElements(values, first, elements));
    const guard = 16;
    const before = new Uint8Array(elements * byteSize(dtype) + guard).fill(0xab);
    const after = lab.run([fillKernel(dtype, values, first, elements)], new Map([[0, before]]));
    expect(after.get(0)?.subarray(0, expected.length)).toEqual(expected);
    expect(after.get(0)?.subarray(expected.length)).toEqual(new Uint8Array(guard).fill(0xab));
    expect(lab.findings()).toEqual([]);
  });
});

describe("the text of the fill kernel", () => {
  it("is one for all weights of a type", () => {
    const { kernel } = fillKernel("bf16", normal, 0, 100);
    expect(fillKernel("bf16", { kind: "constant", value: 1 }, 7, 5_000_000).kernel).toEqual(kernel);
    expect(kernel.source).toMatchInlineSnapshot(`
      "// mean + scale * a normally distributed number, stored as bf16.
      #include "prelude/all.cuh"
      #include "kernels/fill/fill.cuh"

      constexpr int kVector = 8;

      extern "C" __global__ void __launch_bounds__(256)
      fill_bf16_af441d(bf16* destination, int first, int elements, int seed, float mean, float scale) {
        grid_launch_dependents();
        grid_dependency_wait();
        fill<kVector>(destination, first, elements, seed, mean, scale);
      }
      "
    `);
  });
});
