import { describe, expect, it } from "vitest";
import type { Run } from "../../../bench/decode/protocol.ts";
import {
  combinedRate,
  firstDifferences,
  perStep,
  spread,
} from "../../../bench/decode/statistics.ts";

function run(fields: Partial<Run>): Run {
  return {
    prompt: 0,
    tokens: [1],
    promptMs: 0,
    tokensPerSecond: 1,
    steps: 1,
    stepMs: 1,
    tokensPerStep: 1,
    ...fields,
  };
}

describe("figures of the decode benchmark", () => {
  it("takes the middle value, or the mean of the middle two", () => {
    expect(spread([5, 1, 30])).toEqual({ median: 5, min: 1, max: 30 });
    expect(spread([4, 1, 2, 9])).toEqual({ median: 3, min: 1, max: 9 });
    expect(spread([])).toEqual({ median: Number.NaN, min: Number.NaN, max: Number.NaN });
  });

  it("counts all tokens over all time, not the mean of the rates", () => {
    const runs = [
      run({ tokens: Array(100).fill(0), tokensPerSecond: 100 }),
      run({ tokens: Array(100).fill(0), tokensPerSecond: 50 }),
    ];
    expect(combinedRate(runs)).toBeCloseTo(200 / 3, 9);
  });

  it("weighs per-step figures by steps", () => {
    const runs = [run({ steps: 30, tokensPerStep: 4 }), run({ steps: 90, tokensPerStep: 2 })];
    expect(perStep(runs, "tokensPerStep")).toBeCloseTo(2.5, 9);
  });

  it("finds the first difference of each text, a missing or surplus token included", () => {
    const texts = [
      [1, 2, 3],
      [1, 9, 3],
      [1, 2],
      [1, 2, 3, 4],
    ];
    const runs = texts.map((tokens) => run({ tokens, prompt: 1 }));
    expect(firstDifferences(runs, [[7], [1, 2, 3]])).toEqual([undefined, 1, 2, 3]);
  });

  it("compares a text that was cut as far as it goes", () => {
    const runs = [
      [1, 2],
      [1, 9],
    ].map((tokens) => run({ tokens, cut: true }));
    expect(firstDifferences(runs, [[1, 2, 3]])).toEqual([undefined, 1]);
  });
});
