import type { SamplingParams } from "../../../src/ir/reference/sampling.ts";

/** The distribution a draw should have, the plain way: sort, cut, normalise after each filter. */
export function exactDistribution(
  logits: readonly number[],
  history: readonly number[],
  params: SamplingParams,
): number[] {
  const { temperature, topK, topP, minP, repetitionPenalty: penalty } = params;
  const penalised = logits.map((logit, id) => {
    if (!history.includes(id)) return logit;
    return logit < 0 ? logit * penalty : logit / penalty;
  });
  const order = logits
    .map((_, id) => id)
    .sort((a, b) => (penalised[b] ?? 0) - (penalised[a] ?? 0) || a - b);
  if (temperature === 0) return logits.map((_, id) => (id === order[0] ? 1 : 0));
  const largest = penalised[order[0] ?? 0] ?? 0;
  let p = normalise(penalised.map((logit) => Math.exp((logit - largest) / temperature)));
  const keep = (count: number): void => {
    const kept = new Set(order.slice(0, count));
    p = normalise(p.map((value, id) => (kept.has(id) ? value : 0)));
  };
  if (topK > 0) keep(topK);
  if (topP < 1) {
    let mass = 0;
    const last = order.findIndex((id) => {
      mass += p[id] ?? 0;
      return mass >= topP;
    });
    keep(last < 0 ? order.length : last + 1);
  }
  const most = Math.max(...p);
  return normalise(p.map((value) => (value >= minP * most ? value : 0)));
}

function normalise(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/**
 * Chi-square of observed counts, cells below 5 expected merged into one, as a standard normal
 * deviate (Wilson and Hilferty's cube root): above 4 with probability 3e-5.
 */
export function chiSquareDeviate(
  counts: readonly number[],
  distribution: readonly number[],
): number {
  const draws = counts.reduce((sum, count) => sum + count, 0);
  let [rareCount, rareExpected, statistic, cells] = [0, 0, 0, 0];
  for (const [id, probability] of distribution.entries()) {
    const expected = probability * draws;
    const count = counts[id] ?? 0;
    if (expected >= 5) {
      statistic += (count - expected) ** 2 / expected;
      cells++;
    } else {
      rareCount += count;
      rareExpected += expected;
    }
  }
  if (rareExpected > 0) {
    statistic += (rareCount - rareExpected) ** 2 / Math.max(rareExpected, 1);
    cells++;
  } else if (rareCount > 0) {
    return Number.POSITIVE_INFINITY;
  }
  if (cells < 2) return 0;
  const freedom = cells - 1;
  const spread = 2 / (9 * freedom);
  return (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread);
}

/** Small reproducible numbers for test data, in [0, 1). */
export function testRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
