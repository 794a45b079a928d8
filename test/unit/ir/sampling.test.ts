import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  argmax,
  greedySampling,
  Sampler,
  type SamplingParams,
  sampleRow,
  samplingParams,
} from "../../../src/ir/reference/sampling.ts";
import { chiSquareDeviate, exactDistribution, testRandom } from "./sampling-oracle.ts";

const sampled: SamplingParams = { ...greedySampling, temperature: 1, seed: 7n };

/** What a row of logits gives for a chosen uniform number. */
function drawAt(
  u: number,
  logits: readonly number[],
  params: SamplingParams,
  history: readonly number[] = [],
): number {
  return sampleRow(Float64Array.from(logits), history, params, 0, new Sampler(() => u));
}

describe("greedy draws", () => {
  test("take the largest logit, the lowest id on ties", () => {
    expect(sampleRow(Float32Array.of(1, 3, 3, 2), [], greedySampling, 0)).toBe(1);
    expect(sampleRow(Float32Array.of(-1, -3), [], greedySampling, 0)).toBe(0);
  });

  test("come after the repetition penalty", () => {
    const params = { ...greedySampling, repetitionPenalty: 2 };
    expect(drawAt(0, [3, 2, 1], params, [0])).toBe(1);
    expect(drawAt(0, [-1, -1.5, -3], params, [0])).toBe(1);
    expect(drawAt(0, [3, 2, 1], params, [])).toBe(0);
  });

  test("penalise a token once, however often it was seen", () => {
    expect(drawAt(0, [3, 1.4], { ...greedySampling, repetitionPenalty: 2 }, [0, 0, 0])).toBe(0);
  });
});

describe("rows with strange values", () => {
  test.each([0, 1])("never give NaN at temperature %i", (temperature) => {
    const params = { ...sampled, temperature };
    for (const u of [0, 0.5, 1 - 2 ** -53]) {
      expect(drawAt(u, [Number.NaN, 1, Number.NaN], params)).toBe(1);
    }
  });

  test("draw only among plus infinities if there are any", () => {
    const logits = [0, Number.POSITIVE_INFINITY, 5, Number.POSITIVE_INFINITY];
    expect([0, 0.4, 0.6, 0.99].map((u) => drawAt(u, logits, sampled))).toEqual([1, 1, 3, 3]);
  });

  test.each([0, 1])("without any number are an error at temperature %i", (temperature) => {
    const logits = [Number.NaN, Number.NEGATIVE_INFINITY];
    expect(() => drawAt(0, logits, { ...sampled, temperature })).toThrow(
      expect.objectContaining({ code: "sampling/no-choice" }),
    );
  });

  test("stay safe at a temperature that overflows the logits", () => {
    expect(drawAt(0.5, [1e300, 2e300, -1e300], { ...sampled, temperature: 1e-300 })).toBe(1);
  });
});

describe("filters", () => {
  const certain = 1 - 2 ** -53;

  test("top-k keeps exactly k, lower ids first on ties", () => {
    const params = { ...sampled, topK: 2 };
    expect([0, certain].map((u) => drawAt(u, [1, 5, 1, 1], params))).toEqual([0, 1]);
    expect(drawAt(certain, [1, 1, 1, 1], params)).toBe(1);
  });

  test("top-k beyond the vocabulary keeps all", () => {
    expect(drawAt(certain, [0, 0, 0], { ...sampled, topK: 9 })).toBe(2);
  });

  test("top-p keeps the token that crosses the mass", () => {
    const logits = [0.5, 0.3, 0.2].map(Math.log);
    expect(drawAt(certain, logits, { ...sampled, topP: 0.45 })).toBe(0);
    expect(drawAt(certain, logits, { ...sampled, topP: 0.55 })).toBe(1);
    expect(drawAt(certain, logits, { ...sampled, topP: 0.85 })).toBe(2);
  });

  test("top-p is content with exactly the mass", () => {
    expect(drawAt(certain, [0, 0, 0, 0], { ...sampled, topP: 0.5 })).toBe(1);
  });

  test("top-p counts mass among what top-k kept", () => {
    const logits = [0.4, 0.3, 0.2, 0.1].map(Math.log);
    expect(drawAt(certain, logits, { ...sampled, topK: 2, topP: 0.5 })).toBe(0);
    expect(drawAt(certain, logits, { ...sampled, topP: 0.5 })).toBe(1);
  });

  test("min-p keeps tokens by their share of the largest", () => {
    const logits = [0.5, 0.26, 0.24].map(Math.log);
    expect(drawAt(certain, logits, { ...sampled, minP: 0.5 })).toBe(1);
    expect(drawAt(certain, logits, { ...sampled, minP: 1 })).toBe(0);
  });
});

/** Rows with ties and minus infinities among them. */
const arbitraryRow = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -8, max: 8, noNaN: true }) },
    { weight: 3, arbitrary: fc.integer({ min: -3, max: 3 }) },
    { weight: 1, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) },
  ),
  { minLength: 1, maxLength: 150 },
);
const arbitraryParams = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 2.5),
  topK: fc.constantFrom(0, 0, 1, 3, 40, 500),
  topP: fc.constantFrom(1, 1, 0.999, 0.8, 0.3),
  minP: fc.constantFrom(0, 0, 0.01, 0.3),
  repetitionPenalty: fc.constantFrom(1, 1.3),
  seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});

test("every token is drawn on exactly its interval of the exact distribution", () => {
  fc.assert(
    fc.property(arbitraryRow, arbitraryParams, fc.array(fc.nat(149)), (row, params, history) => {
      fc.pre(row.some((logit) => logit > Number.NEGATIVE_INFINITY));
      const distribution = exactDistribution(row, history, params);
      const slack = 1e-9;
      let low = 0;
      for (const [id, probability] of distribution.entries()) {
        const high = low + probability;
        if (probability > 4 * slack) {
          for (const u of [low + slack, (low + high) / 2, high - slack]) {
            expect(drawAt(u, row, params, history)).toBe(id);
          }
        }
        low = high;
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("ranking more than the first few dozen tokens changes nothing", () => {
  const random = testRandom(3);
  const row = Array.from({ length: 6000 }, () => 2 * random());
  for (const topP of [0.02, 0.5, 0.97]) {
    const params = { ...sampled, topP, minP: 0.15 };
    const distribution = exactDistribution(row, [], params);
    for (const u of [0.01, 0.37, 0.98]) {
      const id = drawAt(u, row, params);
      const below = distribution.slice(0, id).reduce((sum, p) => sum + p, 0);
      expect(below).toBeLessThan(u);
      expect(below + (distribution[id] ?? 0)).toBeGreaterThan(u);
    }
  }
});

test("a draw does not depend on what the sampler did before, nor change the row", () => {
  const sampler = new Sampler();
  const random = testRandom(9);
  for (const size of [500, 20, 300, 1]) {
    const row = Float32Array.from({ length: size }, () => 6 * random());
    const before = row.slice();
    const params = { ...sampled, topK: 5, repetitionPenalty: 1.5 };
    const history = [0, 3, 10];
    expect(sampleRow(row, history, params, 4, sampler)).toBe(sampleRow(row, history, params, 4));
    expect(sampleRow(row, [], params, 4, sampler)).toBe(sampleRow(row, [], params, 4));
    expect(row).toEqual(before);
  }
});

describe("the distribution of 30,000 draws is the exact one", () => {
  const random = testRandom(11);
  const row = Array.from({ length: 24 }, () => 5 * random() - 2);
  const history = [1, 4, 7];
  test.each<[string, Partial<SamplingParams>]>([
    ["at temperature 1", {}],
    ["at temperature 0.6", { temperature: 0.6 }],
    ["at temperature 1.7", { temperature: 1.7 }],
    ["under top-k", { topK: 6 }],
    ["under top-p", { topP: 0.85 }],
    ["under min-p", { minP: 0.1 }],
    ["under a repetition penalty", { repetitionPenalty: 1.8 }],
    [
      "under everything",
      { temperature: 1.3, topK: 12, topP: 0.95, minP: 0.05, repetitionPenalty: 1.2 },
    ],
  ])("%s", (_, given) => {
    const params = samplingParams({ ...sampled, seed: 2024n, ...given });
    const counts = Array<number>(row.length).fill(0);
    const sampler = new Sampler();
    const logits = Float64Array.from(row);
    for (let position = 0; position < 30_000; position++) {
      const id = sampleRow(logits, history, params, position, sampler);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    expect(chiSquareDeviate(counts, exactDistribution(row, history, params))).toBeLessThan(4);
  });

  test("which the test would notice were it another", () => {
    const counts = Array<number>(row.length).fill(0);
    for (let position = 0; position < 30_000; position++) {
      const id = sampleRow(Float64Array.from(row), [], sampled, position);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    const other = exactDistribution(row, [], { ...sampled, temperature: 1.05 });
    expect(chiSquareDeviate(counts, other)).toBeGreaterThan(4);
  });
});

describe("sampling parameters", () => {
  test("default to greedy", () => {
    expect(samplingParams({})).toEqual(greedySampling);
  });

  test.each<[keyof SamplingParams, Partial<SamplingParams>]>([
    ["temperature", { temperature: -1 }],
    ["temperature", { temperature: Number.NaN }],
    ["temperature", { temperature: Number.POSITIVE_INFINITY }],
    ["topK", { topK: 1.5 }],
    ["topK", { topK: -1 }],
    ["topP", { topP: 0 }],
    ["topP", { topP: 1.01 }],
    ["minP", { minP: -0.1 }],
    ["minP", { minP: 2 }],
    ["repetitionPenalty", { repetitionPenalty: 0 }],
    ["seed", { seed: -1n }],
    ["seed", { seed: 1n << 64n }],
    ["seed", { seed: [0, -1] }],
  ])("reject a bad %s", (field, given) => {
    expect(() => samplingParams(given)).toThrow(
      expect.objectContaining({
        code: "sampling/params",
        message: expect.stringContaining(`parameter ${field} is`),
      }),
    );
  });
});

test("argmax takes the lowest id on ties and has no answer without a number", () => {
  expect(argmax(Float32Array.of(0, 2, 2))).toBe(1);
  expect(argmax(Float32Array.of(Number.NaN, -5))).toBe(1);
  expect(argmax(Float32Array.of(Number.NaN))).toBe(-1);
});
