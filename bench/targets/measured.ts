import { namedShape } from "../../src/models/named-shapes.ts";
import type { Results } from "../gpu-check/results.ts";

/** Figures of a GPU check by part and name; undefined where they were not measured. */
export class Measured {
  readonly #results: Results;

  constructor(results: Results) {
    this.#results = results;
  }

  /** Median of a figure. */
  figure(part: string, name: string): number | undefined {
    const median = this.#results.parts[part]?.figures[name]?.median;
    return median !== undefined && Number.isFinite(median) ? median : undefined;
  }

  note(part: string, name: string): number | undefined {
    const value = this.#results.parts[part]?.notes[name];
    return typeof value === "number" ? value : undefined;
  }

  /** Names of a part's figures. */
  figures(part: string): readonly string[] {
    return Object.keys(this.#results.parts[part]?.figures ?? {});
  }

  /** Whether a part's checks passed, all of them; undefined where it had none. */
  passed(part: string): boolean | undefined {
    const report = this.#results.parts[part];
    if (report === undefined || report.passed + report.failed.length === 0) return undefined;
    return report.failed.length === 0 && report.status === "passed";
  }

  /** Bytes a second of the copy bandwidth. */
  get copyBandwidth(): number | undefined {
    return times(this.figure("ceilings", "copy"), 1e9);
  }
}

/** Bytes of keys and values that a step reads after `context` tokens, all layers. */
export function cacheBytes(shape: string, context: number): number {
  const { layers, kvHeads, headDim } = namedShape(shape);
  return 2 * 2 * layers * kvHeads * headDim * context;
}

/** Arithmetic with what may not have been measured. */
export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined || !(b > 0) ? undefined : a / b;
}
export function times(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a * b;
}
