import { HydrantError } from "../../util/errors.ts";
import { type Seed, uniform } from "./philox.ts";

/** How a token is drawn from a row of logits. Every field has a value that switches it off. */
export interface SamplingParams {
  /** Divides the logits; 0 takes the largest logit and draws nothing. */
  readonly temperature: number;
  /** Keep the k most probable tokens; 0 is off. */
  readonly topK: number;
  /** Keep the fewest most probable tokens whose mass reaches this; 1 is off. */
  readonly topP: number;
  /** Keep tokens at least this fraction as probable as the most probable one; 0 is off. */
  readonly minP: number;
  /** Positive logits of tokens seen before are divided by this, negative multiplied; 1 is off. */
  readonly repetitionPenalty: number;
  readonly seed: Seed;
}

export const greedySampling: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0n,
};

/**
 * Fills in what is missing (greedy, no filters, seed 0) and checks the ranges.
 * @throws HydrantError `sampling/params` naming the field.
 */
export function samplingParams(given: Partial<SamplingParams>): SamplingParams {
  const params: SamplingParams = { ...greedySampling, ...given };
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = params;
  check(Number.isFinite(temperature) && temperature >= 0, "temperature", temperature, "0 or more");
  check(Number.isInteger(topK) && topK >= 0, "topK", topK, "a whole number, 0 for off");
  check(topP > 0 && topP <= 1, "topP", topP, "above 0 and at most 1 (off)");
  check(minP >= 0 && minP <= 1, "minP", minP, "between 0 (off) and 1");
  check(
    Number.isFinite(repetitionPenalty) && repetitionPenalty > 0,
    "repetitionPenalty",
    repetitionPenalty,
    "above 0, 1 for off",
  );
  const words = typeof seed === "bigint" ? [] : seed;
  check(
    typeof seed === "bigint"
      ? seed >= 0n && seed < 1n << 64n
      : words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32),
    "seed",
    String(seed),
    "an unsigned 64-bit integer",
  );
  return params;
}

function check(holds: boolean, field: string, value: number | string, must: string): void {
  if (!holds) {
    throw new HydrantError("sampling/params", `Sampling parameter ${field} is ${value}.`, {
      hint: `It must be ${must}.`,
    });
  }
}

export type LogitsRow = Float32Array | Float64Array;

/**
 * Draws tokens from rows of logits. Holds scratch memory, so that a draw allocates nothing once
 * the largest vocabulary has been seen; not to be shared between concurrent draws.
 *
 * Order of a draw, all in f64:
 * 1. repetition penalty on the tokens given to `see` since `forget` (rule of Keskar et al., CTRL,
 *    1909.05858, section 4.1; negative logits are multiplied, as is usual since);
 * 2. temperature;
 * 3. top-k, then top-p over what top-k kept, renormalised; then min-p. Ties rank the lower id first;
 * 4. the kept tokens' probabilities are added up in token-id order, and the token whose interval
 *    holds `uniform(seed, position)` is drawn.
 *
 * Temperature 0 stops after 1 and takes the largest, the lowest id on ties. NaN counts as -Infinity
 * and is never drawn.
 */
export class Sampler {
  readonly #uniform: (seed: Seed, position: number) => number;
  /** Logits after the penalty, then ... */
  #logits = new Float64Array(0);
  /** ... their exponentials relative to the largest. */
  #weights = new Float64Array(0);
  #heap = new Int32Array(0);
  readonly #buckets = new Float64Array(BUCKETS);
  /** `#seenIn[id] === #epoch` marks a seen token, so that forgetting is one increment. */
  #seenIn = new Uint32Array(0);
  #epoch = 1;

  /** @param source the random numbers, replaceable so that a test can enumerate every outcome. */
  constructor(source: (seed: Seed, position: number) => number = uniform) {
    this.#uniform = source;
  }

  /** Starts a new history for the repetition penalty. */
  forget(): void {
    this.#epoch++;
    if (this.#epoch === 2 ** 32) {
      this.#seenIn.fill(0);
      this.#epoch = 1;
    }
  }

  /** Adds a token to the history of the repetition penalty. */
  see(token: number): void {
    if (token >= this.#seenIn.length) {
      const grown = new Uint32Array(Math.max(2 * this.#seenIn.length, token + 1));
      grown.set(this.#seenIn);
      this.#seenIn = grown;
    }
    this.#seenIn[token] = this.#epoch;
  }

  /**
   * @param row logits [V], not changed.
   * @param position absolute position the drawn token will take.
   * @returns a token id below V.
   * @throws HydrantError `sampling/no-choice` when no logit is a number above -Infinity.
   */
  draw(row: LogitsRow, params: SamplingParams, position: number): number {
    const size = row.length;
    const plain = params.temperature === 0 && params.repetitionPenalty === 1;
    const best = plain ? argmax(row) : this.#penalise(row, params.repetitionPenalty);
    if (best < 0) throw noChoice(size);
    if (params.temperature === 0) return best;

    const logits = this.#logits;
    const weights = this.#weights;
    const largest = logits[best] ?? 0;
    for (let id = 0; id < size; id++) {
      const logit = logits[id] ?? 0;
      // Equal to the largest: 1 even where infinities would subtract to NaN.
      weights[id] = logit === largest ? 1 : Math.exp((logit - largest) / params.temperature);
    }
    const cut = this.#cut(size, largest, params);
    const cutLogit = cut < 0 ? Number.NEGATIVE_INFINITY : (logits[cut] ?? 0);
    if (cut >= 0 || params.minP > 0) {
      for (let id = 0; id < size; id++) {
        const logit = logits[id] ?? 0;
        const kept = cut < 0 || logit > cutLogit || (logit === cutLogit && id <= cut);
        // The largest weight is 1, so a weight is the share of the most probable token.
        if (!kept || (weights[id] ?? 0) < params.minP) weights[id] = 0;
      }
    }

    let total = 0;
    for (let id = 0; id < size; id++) total += weights[id] ?? 0;
    const target = this.#uniform(params.seed, position) * total;
    let sum = 0;
    for (let id = 0; id < size; id++) {
      sum += weights[id] ?? 0;
      // Strictly above: an interval of width 0 is never hit. u < 1 makes target < total.
      if (sum > target) return id;
    }
    return best;
  }

  #reserve(size: number): void {
    if (this.#logits.length >= size) return;
    this.#logits = new Float64Array(size);
    this.#weights = new Float64Array(size);
    this.#heap = new Int32Array(size);
  }

  /** Fills `#logits`; returns the id of the largest (the lowest on ties), -1 if there is none. */
  #penalise(row: LogitsRow, penalty: number): number {
    this.#reserve(row.length);
    const logits = this.#logits;
    const seenIn = this.#seenIn;
    const seenSize = penalty === 1 ? 0 : seenIn.length;
    let best = -1;
    let largest = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < row.length; id++) {
      let logit = row[id] ?? 0;
      if (id < seenSize && seenIn[id] === this.#epoch) {
        logit = logit < 0 ? logit * penalty : logit / penalty;
      }
      if (Number.isNaN(logit)) logit = Number.NEGATIVE_INFINITY;
      logits[id] = logit;
      if (logit > largest) {
        largest = logit;
        best = id;
      }
    }
    return best;
  }

  /** The least probable token that top-k and top-p keep, -1 if they keep all. */
  #cut(size: number, largest: number, { temperature, topK, topP }: SamplingParams): number {
    const order = this.#heap;
    const weights = this.#weights;
    if (topK > 0 && topK < size) {
      this.#selectLargest(size, topK);
      this.#sortHeap(topK);
      let total = 0;
      for (let rank = 0; rank < topK; rank++) total += weights[order[rank] ?? 0] ?? 0;
      return topP < 1 ? this.#crossing(topK, 0, topP * total) : (order[topK - 1] ?? -1);
    }
    if (topP === 1) return -1;

    // Sorting a vocabulary takes long where the model is unsure. Only the logits in the bucket in
    // which the mass is crossed have to be in order.
    const buckets = this.#buckets.fill(0);
    let total = 0;
    for (let id = 0; id < size; id++) {
      const weight = weights[id] ?? 0;
      const bucket = bucketOf(this.#logits[id] ?? 0, largest, temperature);
      buckets[bucket] = (buckets[bucket] ?? 0) + weight;
      total += weight;
    }
    let mass = 0;
    let crossed = 0;
    while (crossed < BUCKETS - 1 && mass + (buckets[crossed] ?? 0) < topP * total) {
      mass += buckets[crossed] ?? 0;
      crossed++;
    }
    let count = 0;
    for (let id = 0; id < size; id++) {
      if (bucketOf(this.#logits[id] ?? 0, largest, temperature) === crossed) order[count++] = id;
    }
    // Rounding can leave the mass just short of all there is: then all is kept.
    if (count === 0) return -1;
    this.#heapify(count);
    this.#sortHeap(count);
    return this.#crossing(count, mass, topP * total);
  }

  /** The first of the ranked tokens that brings the mass to the target, else the last. */
  #crossing(count: number, before: number, target: number): number {
    let mass = before;
    for (let rank = 0; rank < count; rank++) {
      const id = this.#heap[rank] ?? 0;
      mass += this.#weights[id] ?? 0;
      if (mass >= target) return id;
    }
    return this.#heap[count - 1] ?? -1;
  }

  /** Makes `#heap` a heap of the `count` largest logits' ids. */
  #selectLargest(size: number, count: number): void {
    const heap = this.#heap;
    const logits = this.#logits;
    for (let id = 0; id < count; id++) heap[id] = id;
    this.#heapify(count);
    let worst = logits[heap[0] ?? 0] ?? 0;
    for (let id = count; id < size; id++) {
      // Equal is not enough: among ties the lower id, seen before, stays.
      if ((logits[id] ?? 0) > worst) {
        heap[0] = id;
        this.#sink(0, count);
        worst = logits[heap[0] ?? 0] ?? 0;
      }
    }
  }

  /** Puts the worst of the first `count` ids on top: the one a better id would replace. */
  #heapify(count: number): void {
    for (let at = (count >> 1) - 1; at >= 0; at--) this.#sink(at, count);
  }

  /** Turns a heap into a ranking: largest logit first, lower id on ties. */
  #sortHeap(count: number): void {
    const heap = this.#heap;
    for (let end = count - 1; end > 0; end--) {
      const top = heap[0] ?? 0;
      heap[0] = heap[end] ?? 0;
      heap[end] = top;
      this.#sink(0, end);
    }
  }

  #sink(from: number, count: number): void {
    const heap = this.#heap;
    const id = heap[from] ?? 0;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && this.#worse(heap[child + 1] ?? 0, heap[child] ?? 0)) child++;
      if (!this.#worse(heap[child] ?? 0, id)) break;
      heap[at] = heap[child] ?? 0;
      at = child;
    }
    heap[at] = id;
  }

  #worse(a: number, b: number): boolean {
    const x = this.#logits[a] ?? 0;
    const y = this.#logits[b] ?? 0;
    return x < y || (x === y && a > b);
  }
}

/** Buckets of the top-p search: 64 nepers below the largest in steps of 1/32, then all the rest. */
const BUCKETS = 2048;

/** Never rises with the logit. */
function bucketOf(logit: number, largest: number, temperature: number): number {
  if (logit === largest) return 0;
  return Math.min(BUCKETS - 1, Math.floor((32 * (largest - logit)) / temperature));
}

/** One draw with its own history; see `Sampler` for the rule. */
export function sampleRow(
  row: LogitsRow,
  history: Iterable<number>,
  params: SamplingParams,
  position: number,
  sampler = new Sampler(),
): number {
  if (params.repetitionPenalty !== 1) {
    sampler.forget();
    for (const token of history) sampler.see(token);
  }
  return sampler.draw(row, params, position);
}

/** Index of the largest entry, the lowest on ties; NaN counts as -Infinity; -1 if that is all there is. */
export function argmax(row: LogitsRow): number {
  let best = -1;
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    if (logit > largest) {
      largest = logit;
      best = id;
    }
  }
  return best;
}

/** What to throw when no token can follow: none of the logits (`size` of them, where known) is a number to choose by. */
export function noChoice(size?: number): HydrantError {
  return new HydrantError(
    "sampling/no-choice",
    `All ${size === undefined ? "" : `${size} `}logits after a token are NaN or -Infinity.`,
    { hint: "The weights are damaged or the arithmetic overflowed; try another dtype." },
  );
}
