import type { TensorData } from "../../runtime/executor.ts";

/** Where two results differ most. */
export interface Difference {
  /** Over the largest magnitude expected; 1 for integers that are not equal; NaN stays NaN. */
  readonly error: number;
  readonly message?: string;
}

/**
 * Compares what was computed with what should have been. Where less is expected, the beginning counts.
 */
export function largestDifference(
  name: string,
  actual: TensorData | undefined,
  wanted: TensorData,
): Difference {
  if (actual === undefined || actual.length < wanted.length) {
    const got = actual === undefined ? "none" : String(actual.length);
    return { error: 1, message: `${name} has ${got} values, ${wanted.length} are expected` };
  }
  if (!(wanted instanceof Float32Array)) {
    const at = [...wanted].findIndex((value, i) => value !== actual[i]);
    if (at < 0) return { error: 0 };
    return { error: 1, message: `${name}[${at}] is ${actual[at]}, ${wanted[at]} is expected` };
  }
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let worst = 0;
  let at = -1;
  for (const [i, value] of wanted.entries()) {
    const difference = Math.abs(value - Number(actual[i]));
    // Not a number is worse than any number, and nothing is worse than that.
    if (difference <= worst || Number.isNaN(worst)) continue;
    worst = difference;
    at = i;
  }
  if (at < 0) return { error: 0 };
  return {
    error: largest === 0 ? 1 : worst / largest,
    message: `${name}[${at}] is ${actual[at]}, ${wanted[at]} is expected (largest ${largest})`,
  };
}
