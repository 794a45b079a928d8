import type { TreeTopology } from "./tree.ts";

/** What a step with a tree costs. */
export interface CostModel {
  /** Milliseconds of a step at a context length; undefined when not known (yet). */
  of(tree: TreeTopology, length: number): number | undefined;
  /** Takes in one measured step. */
  record(tree: TreeTopology, length: number, ms: number): void;
}

/**
 * Step times as measured: per tree the median of the latest few, so that neither the first, slow
 * run nor a pause of the garbage collector counts, and growth with the context is followed.
 */
export class StepCosts implements CostModel {
  readonly #window: number;
  readonly #needed: number;
  readonly #samples = new Map<string, number[]>();

  /**
   * @param window how many of the latest samples count.
   * @param needed how many samples make a cost known.
   */
  constructor(window = 5, needed = 3) {
    this.#window = window;
    this.#needed = needed;
  }

  of(tree: TreeTopology): number | undefined {
    const samples = this.#samples.get(tree.key);
    if (samples === undefined || samples.length < this.#needed) return undefined;
    const sorted = samples.toSorted((a, b) => a - b);
    const upper = sorted[sorted.length >> 1] ?? 0;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? 0)) / 2;
  }

  record(tree: TreeTopology, _length: number, ms: number): void {
    const samples = this.#samples.get(tree.key) ?? [];
    this.#samples.set(tree.key, samples);
    samples.push(ms);
    if (samples.length > this.#window) samples.shift();
  }
}
