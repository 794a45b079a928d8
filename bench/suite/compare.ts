import type { BenchEntry, BenchResults, Figure } from "./results.ts";

/** `changed`: a figure that should stay as it is did not. */
export type Verdict = "better" | "worse" | "same" | "changed";

/** One figure in two files. */
export interface FigureChange {
  readonly id: string;
  readonly figure: string;
  readonly unit: string;
  readonly before: Figure;
  readonly after: Figure;
  /** New median over old; 1 where both are 0. */
  readonly ratio: number;
  readonly verdict: Verdict;
}

export interface Comparison {
  /** Every figure of every entry in both files. */
  readonly changes: readonly FigureChange[];
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Entries whose check failed now and had not. */
  readonly newlyFailed: readonly string[];
  /** Why the files may not be comparable. */
  readonly warnings: readonly string[];
}

/** Least change of a measured figure that counts, as a part of it. */
export const leastChange = 0.03;

/** Units of what is measured; everything else is counted, and every change of it is one. */
const measuredUnits = new Set(["ms", "GB/s", "GFLOP/s", "tokens/s", "ratio", "tokens/step"]);

/** What became of the entries of an old file. */
export function compareResults(before: BenchResults, after: BenchResults): Comparison {
  const old = new Map(before.entries.map((entry) => [entry.id, entry]));
  const now = new Map(after.entries.map((entry) => [entry.id, entry]));
  const both = after.entries.flatMap((entry) => {
    const other = old.get(entry.id);
    return other === undefined ? [] : [{ before: other, after: entry }];
  });
  return {
    changes: both.flatMap((pair) => compareEntries(pair.before, pair.after)),
    onlyBefore: [...old.keys()].filter((id) => !now.has(id)),
    onlyAfter: [...now.keys()].filter((id) => !old.has(id)),
    newlyFailed: both.flatMap((pair) =>
      pair.after.check.status === "failed" && pair.before.check.status !== "failed"
        ? [pair.after.id]
        : [],
    ),
    warnings: warningsOf(before, after),
  };
}

function compareEntries(before: BenchEntry, after: BenchEntry): FigureChange[] {
  return Object.entries(after.figures).flatMap(([name, figure]) => {
    const old = before.figures[name];
    if (old === undefined || old.unit !== figure.unit) return [];
    return [
      {
        id: after.id,
        figure: name,
        unit: figure.unit,
        before: old,
        after: figure,
        ratio: ratioOf(old.median, figure.median),
        verdict: judge(old, figure),
      },
    ];
  });
}

/**
 * Whether a figure got better. A counted one did when it differs at all. A measured one did when the
 * medians are at least `leastChange` apart and no value of one file lies among those of the other:
 * what two runs of the same program give differs by its noise, which the spreads show.
 */
export function judge(before: Figure, after: Figure): Verdict {
  if (!differs(before, after)) return "same";
  const grew = after.median > before.median;
  switch (after.better) {
    case "lower":
      return grew ? "worse" : "better";
    case "higher":
      return grew ? "better" : "worse";
    case "same":
      return "changed";
    default:
      return after.better satisfies never;
  }
}

function differs(before: Figure, after: Figure): boolean {
  if (!measuredUnits.has(after.unit)) return before.median !== after.median;
  const apart = after.min > before.max || after.max < before.min;
  const smaller = Math.min(Math.abs(before.median), Math.abs(after.median));
  return apart && Math.abs(after.median - before.median) >= leastChange * smaller;
}

function ratioOf(before: number, after: number): number {
  return before === 0 && after === 0 ? 1 : after / before;
}

function warningsOf(before: BenchResults, after: BenchResults): string[] {
  const warnings: string[] = [];
  const differ = (what: string, a: string | number, b: string | number) => {
    if (a !== b) warnings.push(`another ${what}: ${a} before, ${b} now`);
  };
  differ("processor", before.environment.cpu, after.environment.cpu);
  differ("number of cores", before.environment.cores, after.environment.cores);
  differ("Node", before.environment.node, after.environment.node);
  for (const device of after.devices) {
    const old = before.devices.find(({ name }) => name === device.name);
    if (old !== undefined) differ(`${device.name}`, old.details, device.details);
  }
  const busy = (load: number, { cores }: BenchResults["environment"]) => load > cores / 2;
  if (busy(before.environment.loadBefore, before.environment))
    warnings.push(`the machine was busy before (load ${before.environment.loadBefore.toFixed(1)})`);
  if (busy(after.environment.loadBefore, after.environment))
    warnings.push(`the machine was busy now (load ${after.environment.loadBefore.toFixed(1)})`);
  return warnings;
}
