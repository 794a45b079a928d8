import type { Spread } from "../decode/statistics.ts";
import type { ResultFile } from "./result-file.ts";

/** One figure of one file, with what it is compared by. */
export interface Measurement {
  /** Of what: the same in both files. */
  readonly id: string;
  readonly figure: string;
  readonly unit: string;
  readonly spread: Spread;
  readonly better: "lower" | "higher" | "same";
}

export interface Change {
  readonly id: string;
  readonly figure: string;
  readonly unit: string;
  readonly old: Spread;
  readonly new: Spread;
  /** Times as good as before: above 1 is progress; for `same` figures, new over old. */
  readonly progress: Spread;
  /** `unclear`: the spreads meet, so that it may be noise. */
  readonly verdict: "better" | "worse" | "changed" | "unclear" | "equal";
}

/** What two files have in common, the largest loss first. */
export function compareFiles(old: ResultFile, fresh: ResultFile): Change[] {
  const before = new Map(measurementsOf(old).map((one) => [keyOf(one), one]));
  return measurementsOf(fresh)
    .flatMap((one) => {
      const other = before.get(keyOf(one));
      return other === undefined ? [] : [changeOf(other, one)];
    })
    .sort((a, b) => a.progress.median - b.progress.median || (a.id < b.id ? -1 : 1));
}

/** Every figure of a file that another file of the same kind may have too. */
export function measurementsOf(file: ResultFile): Measurement[] {
  switch (file.kind) {
    case "suite":
      return [
        ...file.results.entries.flatMap(({ id, figures }) =>
          Object.entries(figures).map(([figure, { unit, better, ...spread }]) => ({
            id,
            figure,
            unit,
            better,
            spread,
          })),
        ),
        ...(file.results.prompts?.methods ?? []).flatMap(({ name, overall }): Measurement[] => [
          rate(`prompts/${name}`, overall.tokensPerSecond),
          {
            id: `prompts/${name}`,
            figure: "tokens per step",
            unit: "ratio",
            spread: one(overall.tokensPerStep),
            better: "same",
          },
        ]),
      ];
    case "decode":
      return [
        ...file.results.measured.map(({ name, tokensPerSecond }) =>
          rate(`decode/${name}`, tokensPerSecond),
        ),
        ...file.results.stepCosts.flatMap(({ heads, steps }) =>
          steps.map(({ rows, ms }) => milliseconds(`step/${heads}/${rows}`, ms)),
        ),
      ];
    case "gpu check":
      return Object.entries(file.results.parts).flatMap(([part, { figures }]) =>
        Object.entries(figures).map(([figure, { unit, count: _, ...spread }]) => ({
          id: part,
          figure,
          unit,
          spread,
          better: unit === "ms" || unit === "s" ? ("lower" as const) : ("higher" as const),
        })),
      );
    default:
      return file satisfies never;
  }
}

function rate(id: string, spread: Spread): Measurement {
  return { id, figure: "rate", unit: "tokens/s", spread, better: "higher" };
}

function milliseconds(id: string, spread: Spread): Measurement {
  return { id, figure: "time", unit: "ms", spread, better: "lower" };
}

function one(value: number): Spread {
  return { median: value, min: value, max: value };
}

function keyOf({ id, figure, unit }: Measurement): string {
  return `${id}\0${figure}\0${unit}`;
}

function changeOf(old: Measurement, fresh: Measurement): Change {
  const { id, figure, unit, better } = fresh;
  const [from, to] = better === "lower" ? [fresh.spread, old.spread] : [old.spread, fresh.spread];
  const progress = {
    median: to.median / from.median,
    min: to.min / from.max,
    max: to.max / from.min,
  };
  return { id, figure, unit, old: old.spread, new: fresh.spread, progress, verdict: verdict() };

  function verdict(): Change["verdict"] {
    if (to.median === from.median) return "equal";
    if (better === "same") return "changed";
    if (progress.min > 1) return "better";
    return progress.max < 1 ? "worse" : "unclear";
  }
}
