import { describe, expect, it } from "vitest";
import { compareBuffer, isWithin } from "../../../../src/api/workbench/compare-buffers.ts";

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const integers = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);
const f32 = { name: "out", label: "y", dtype: "f32" } as const;
const i32 = { name: "ids", label: "y", dtype: "i32" } as const;

describe("results of two kernels", () => {
  it("are the same when their bits are", () => {
    expect(compareBuffer(f32, floats(1, Number.NaN), floats(1, Number.NaN))).toEqual({
      ...f32,
      elements: 2,
      differing: 0,
    });
  });

  it("differ by the largest difference over the largest value of the reference", () => {
    const result = compareBuffer(f32, floats(1, 8.5, -1), floats(1, 8, -0.75));
    expect(result).toMatchObject({ elements: 3, differing: 2, first: 1, relative: 0.0625 });
    expect([0, 0.06, 0.0625].map((tolerance) => isWithin(result, tolerance))).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("are never near when one of them is no finite number, as in memory nobody wrote", () => {
    const result = compareBuffer(f32, new Uint8Array(4).fill(0xff), floats(0));
    expect(result.relative).toBe(Number.POSITIVE_INFINITY);
    expect(isWithin(result, 1e30)).toBe(false);
  });

  it("count zeros of other signs as other bits, and let any tolerance pass them", () => {
    const result = compareBuffer(f32, floats(-0, 1), floats(0, 1));
    expect(result).toMatchObject({ differing: 1, relative: 0 });
    expect([isWithin(result, 0), isWithin(result, 1e-9)]).toEqual([false, true]);
  });

  it("have no tolerance for integers", () => {
    const result = compareBuffer(i32, integers(7, 8), integers(7, 9));
    expect(result).toMatchObject({ elements: 2, differing: 1, first: 1 });
    expect(result.relative).toBeUndefined();
    expect(isWithin(result, 1)).toBe(false);
  });
});
