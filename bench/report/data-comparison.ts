import type { Spread } from "../decode/statistics.ts";
import { judge, type Verdict } from "../suite/compare.ts";
import type { Figure } from "../suite/results.ts";
import type { ResultFile } from "./result-file.ts";

/** One figure of one file, with what it is compared by. */
export interface Measurement {
  /** Of what: the same in both files. */
  readonly id: string;
  readonly name: string;
  readonly figure: Figure;
}

export interface Change {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly old: Figure;
  readonly new: Figure;
  /** Times as good as before: above 1 is progress; for `same` figures, new over old. */
  readonly progress: Spread;
  readonly verdict: Verdict;
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
          Object.entries(figures).map(([name, figure]) => ({ id, name, figure })),
        ),
        ...(file.results.prompts?.methods ?? []).flatMap(({ name, overall }) => {
          const id = `prompts/${name}`;
          const { tokensPerSecond, tokensPerStep: perStep } = overall;
          const committed = { median: perStep, min: perStep, max: perStep };
          return [
            measured(id, "rate", "tokens/s", "higher", tokensPerSecond),
            measured(id, "tokens per step", "tokens/step", "higher", committed),
          ];
        }),
      ];
    case "decode":
      return [
        ...file.results.measured.map(({ name, tokensPerSecond }) =>
          measured(`decode/${name}`, "rate", "tokens/s", "higher", tokensPerSecond),
        ),
        ...file.results.stepCosts.flatMap(({ heads, steps }) =>
          steps.map(({ rows, ms }) => measured(`step/${heads}/${rows}`, "time", "ms", "lower", ms)),
        ),
      ];
    case "gpu check":
      return Object.entries(file.results.parts).flatMap(([part, { figures }]) =>
        Object.entries(figures).map(([name, { unit, ...spread }]) =>
          measured(part, name, unit, unit === "ms" || unit === "s" ? "lower" : "higher", spread),
        ),
      );
    default:
      return file satisfies never;
  }
}

function measured(
  id: string,
  name: string,
  unit: string,
  better: Figure["better"],
  spread: Spread,
): Measurement {
  return { id, name, figure: { count: 1, ...spread, unit, better } };
}

function keyOf({ id, name, figure: { unit } }: Measurement): string {
  return `${id}\0${name}\0${unit}`;
}

function changeOf({ figure: old }: Measurement, { id, name, figure: fresh }: Measurement): Change {
  const [from, to] = fresh.better === "lower" ? [fresh, old] : [old, fresh];
  return {
    id,
    name,
    unit: fresh.unit,
    old,
    new: fresh,
    progress: {
      median: ratio(to.median, from.median),
      min: ratio(to.min, from.max),
      max: ratio(to.max, from.min),
    },
    verdict: judge(old, fresh),
  };
}

function ratio(a: number, b: number): number {
  return a === b ? 1 : a / b;
}
