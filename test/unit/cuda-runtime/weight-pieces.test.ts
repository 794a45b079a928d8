import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planWeights, stagingBytes, weightPieces } from "../../../runtime/cuda/weight-pieces.ts";
import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";

const source = (weights: readonly { dtype: FloatDType; shape: readonly number[] }[]) => ({
  parameters: new Map(weights.map((weight, i) => [`w${i}`, weight])),
  read: async () => {},
});

const weight = fc.record({
  dtype: fc.constantFrom<FloatDType>("f32", "f16", "bf16"),
  shape: fc.oneof(
    fc.tuple(fc.integer({ min: 1, max: 200 })),
    fc.tuple(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 300 })),
  ),
});

describe("weights in pieces", () => {
  it("covers every element once, in order, in pieces that fit; packed ones begin at a tile", () => {
    fc.assert(
      fc.property(
        fc.array(weight, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 20_000 }),
        (weights, most) => {
          const plans = planWeights(source(weights));
          const staging = stagingBytes(plans, most);
          const next = new Map(plans.map((plan) => [plan, 0]));
          for (const { weight: plan, first, count } of weightPieces(plans, staging)) {
            expect(first).toBe(next.get(plan));
            expect(count).toBeGreaterThan(0);
            expect(count * byteSize(plan.dtype)).toBeLessThanOrEqual(staging);
            if (plan.layout === "packed") {
              expect(first % (16 * (plan.shape[1] ?? 1))).toBe(0);
              expect(count % (plan.shape[1] ?? 1)).toBe(0);
            }
            next.set(plan, first + count);
          }
          for (const [plan, end] of next) expect(end).toBe(plan.elements);
        },
      ),
      { seed: 20261121, numRuns: 300 },
    );
  });

  it("takes a staging buffer no larger than asked for, unless a row of tiles needs more", () => {
    const plans = planWeights(source([{ dtype: "bf16", shape: [64, 1000] }]));
    expect(stagingBytes(plans, 40_000)).toBe(40_192);
    expect(stagingBytes(plans, 1000)).toBe(32_000);
    expect(stagingBytes(plans, 1 << 24)).toBe(128_000);
  });

  it("refuses a weight that holds no floats, by name", () => {
    const parameters = new Map([["ids", { dtype: "i32", shape: [3] } as const]]);
    expect(() => planWeights({ parameters, read: async () => {} })).toThrow(
      expect.objectContaining({ code: "executor/weight", path: "ids" }),
    );
  });
});
