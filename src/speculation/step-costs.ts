import type { TreeTopology } from "./tree.ts";

/** What a step with a tree costs. */
export interface CostModel {
  /** Milliseconds of a step at a context length; undefined when not known (yet). */
  of(tree: TreeTopology, length: number): number | undefined;
  /** Takes in one measured step. */
  record(tree: TreeTopology, length: number, ms: number): void;
}

/**
 * Step times as measured: per tree the least of the latest few. Whatever disturbs a measurement (other
 * programs, the garbage collector) only adds to it, so the least is the truest and, above all, the
 * fairest to compare by; the window lets growth with the context be followed.
 */
export class StepCosts implements CostModel {
  readonly #window: number;
  readonly #samples = new Map<string, number[]>();
  /** Asked for every tree before every step, so kept ready. */
  readonly #least = new Map<string, number>();

  /** @param window how many of the latest samples count. */
  constructor(window = 5) {
    this.#window = window;
  }

  of(tree: TreeTopology): number | undefined {
    return this.#least.get(tree.key);
  }

  record(tree: TreeTopology, _length: number, ms: number): void {
    const samples = this.#samples.get(tree.key) ?? [];
    this.#samples.set(tree.key, samples);
    samples.push(ms);
    if (samples.length > this.#window) samples.shift();
    this.#least.set(tree.key, Math.min(...samples));
  }
}
