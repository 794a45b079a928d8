import { describe, expect, it } from "vitest";
import { chooseCandidate, quantile } from "../../../../src/api/tune/choose-candidate.ts";

/** Times around `base` with a spread of `noise`, another in each round for each base. */
const times = (base: number, noise = 0, rounds = 12) =>
  Array.from({ length: rounds }, (_, i) => base * (1 + noise * Math.sin(base * i)));

describe("the choice among configurations", () => {
  it("is the fastest, by the median over the rounds of the ratio to the usual one", () => {
    const choice = chooseCandidate([times(100), times(90), times(80), times(120)]);
    expect(choice).toMatchObject({
      index: 2,
      reason: "20.0 % faster than the usual one, in 12 of 12 rounds",
    });
    expect(choice.ratio).toBeCloseTo(0.8);
  });

  it("is the usual one where it is the fastest", () => {
    expect(chooseCandidate([times(100), times(101)])).toMatchObject({ index: 0, ratio: 1 });
    expect(chooseCandidate([times(100)])).toMatchObject({ index: 0 });
  });

  it("is the usual one where the gain is less than 2 %", () => {
    const { index, reason } = chooseCandidate([times(100), times(98.5)]);
    expect(index).toBe(0);
    expect(reason).toBe("the usual one: the fastest other gains 1.5 %, less than 2.0 %");
  });

  it("is the usual one where the gain is within the noise of the rounds", () => {
    expect(chooseCandidate([times(100, 0.1), times(95, 0.1)]).index).toBe(0);
    expect(chooseCandidate([times(100, 0.01), times(95, 0.01)]).index).toBe(1);
  });

  it("is the usual one where another wins too few rounds", () => {
    // Fast in seven rounds of twelve, slow in the others.
    const moody = times(100).map((time, i) => (i < 7 ? 0.5 * time : 2 * time));
    const { index, reason } = chooseCandidate([times(100), moody]);
    expect(index).toBe(0);
    expect(reason).toContain("less than 150.0 %");
  });

  it("knows no clocks: a round that is slow for all changes nothing", () => {
    const slow = (all: number[]) => all.map((time, i) => (i % 5 === 0 ? 1.5 * time : time));
    expect(chooseCandidate([slow(times(100)), slow(times(90))]).index).toBe(1);
  });

  it("passes over what was refused", () => {
    expect(chooseCandidate([times(100), [], times(90)]).index).toBe(2);
  });
});

it("quantiles lie between the two nearest values", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([4, 1, 3, 2], 0)).toBe(1);
  expect(quantile([], 0.5)).toBeNaN();
});
