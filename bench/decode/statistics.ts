import type { Run } from "./protocol.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median (mean of the middle two), least and greatest; NaN of no values. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return {
    median: (lower + upper) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Tokens per second of several texts as if they were one: all tokens over all time. */
export function combinedRate(runs: readonly Run[]): number {
  const tokens = runs.reduce((sum, run) => sum + run.tokens.length, 0);
  const seconds = runs.reduce((sum, run) => sum + run.tokens.length / run.tokensPerSecond, 0);
  return tokens / seconds;
}

/** Mean over the forward passes of all texts. */
export function perStep(runs: readonly Run[], what: "stepMs" | "tokensPerStep"): number {
  const steps = runs.reduce((sum, run) => sum + run.steps, 0);
  return runs.reduce((sum, run) => sum + run[what] * run.steps, 0) / steps;
}

/**
 * Index of the first difference of each text from the reference's of the same prompt; undefined where
 * they are equal, as far as a text that was cut goes.
 */
export function firstDifferences(
  runs: readonly Run[],
  reference: readonly (readonly number[])[],
): (number | undefined)[] {
  return runs.map(({ prompt, tokens, cut }) => {
    const whole = reference[prompt] ?? [];
    const expected = cut === true ? whole.slice(0, tokens.length) : whole;
    const length = Math.max(tokens.length, expected.length);
    for (let i = 0; i < length; i++) if (tokens[i] !== expected[i]) return i;
    return undefined;
  });
}
