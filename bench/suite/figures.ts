import { spread } from "../decode/statistics.ts";
import type { Counts } from "./emulator-counters.ts";
import type { Work } from "./kernels/kernel-case.ts";
import type { Figure } from "./results.ts";

/** Five digits: no measurement has more. */
export function figure(
  unit: string,
  better: Figure["better"],
  values: readonly number[],
  digits = 5,
): Figure {
  const { median, min, max } = spread(values);
  const cut = (value: number) => Number(value.toPrecision(digits));
  return { unit, better, count: values.length, median: cut(median), min: cut(min), max: cut(max) };
}

/** A figure that depends on the program alone: every digit counts. */
export function exact(unit: string, better: Figure["better"], value: number): Figure {
  return { unit, better, count: 1, median: value, min: value, max: value };
}

/** Time, and what it makes of the work. @param ms of one run each. */
export function timeFigures(
  ms: readonly number[],
  { bytes, flops }: Work,
  copyBandwidth?: number,
): Record<string, Figure> {
  const rate = (amount: number) => ms.map((one) => amount / one / 1e6);
  return {
    time: figure("ms", "lower", ms),
    ...(bytes > 0 ? { bandwidth: figure("GB/s", "higher", rate(bytes)) } : {}),
    ...(flops > 0 ? { rate: figure("GFLOP/s", "higher", rate(flops)) } : {}),
    ...(copyBandwidth === undefined
      ? {}
      : {
          "of copy": figure(
            "ratio",
            "higher",
            ms.map((one) => (bytes * 1000) / one / copyBandwidth),
          ),
        }),
  };
}

/** What the emulator counted. Figures with a colon are parts of another one. */
export function countFigures(counts: Counts): Record<string, Figure> {
  const { requests, sectors } = counts;
  const perRequest = requests === 0 ? 0 : Number((sectors / requests).toFixed(3));
  return {
    instructions: exact("count", "lower", counts.instructions),
    "bytes read": exact("bytes", "same", counts.bytesRead),
    "bytes written": exact("bytes", "same", counts.bytesWritten),
    "bank conflicts": exact("count", "lower", counts.bankConflicts),
    "sectors per request": exact("sectors", "lower", perRequest),
    ...Object.fromEntries(
      Object.entries(counts.byClass)
        .filter(([, value]) => value > 0)
        .map(([name, value]) => [`instructions: ${name}`, exact("count", "same", value)]),
    ),
  };
}
