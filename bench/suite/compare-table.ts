import chalk from "chalk";
import Table from "cli-table3";
import type { Comparison, FigureChange } from "./compare.ts";
import { scaled, shortNumber } from "./numbers-text.ts";
import type { Figure } from "./results.ts";

/** The figures that changed, entries in one file alone, and at the end what got worse. */
export function formatComparison(comparison: Comparison, oldName: string): string {
  const { changes, onlyBefore, onlyAfter, newlyFailed, warnings } = comparison;
  const moved = changes.filter(({ verdict }) => verdict !== "same");
  const lines = [chalk.bold(`against ${oldName}`)];
  lines.push(...warnings.map((warning) => chalk.yellow(`  warning: ${warning}`)));
  if (moved.length > 0) lines.push(table(moved));
  lines.push(
    `${changes.length - moved.length} of ${changes.length} figures are the same within their noise.`,
  );
  lines.push(...listed("only in the old file", onlyBefore), ...listed("new", onlyAfter));
  const worse = regressions(comparison);
  if (worse.length === 0 && newlyFailed.length === 0) lines.push("No regressions.");
  else {
    lines.push(chalk.red(`${worse.length + newlyFailed.length} REGRESSIONS:`));
    for (const id of newlyFailed) lines.push(chalk.red(`  ${id}: its check fails now`));
    for (const change of worse) lines.push(chalk.red(`  ${change.id}: ${describe(change)}`));
  }
  return lines.join("\n");
}

/** What got worse, the worst first. A slower time and the lower rates that follow from it are one. */
export function regressions({ changes }: Comparison): readonly FigureChange[] {
  const worse = changes.filter(({ verdict }) => verdict === "worse");
  const seen = new Set<string>();
  return worse
    .filter(({ id, figure, unit }) => {
      const isTime = unit !== "count" && unit !== "sectors" && !figure.includes(":");
      if (!isTime) return true;
      if (seen.has(id)) return false;
      seen.add(id);
      return true;
    })
    .toSorted((a, b) => severity(b) - severity(a));
}

function severity({ ratio, after }: FigureChange): number {
  return after.better === "higher" ? 1 / ratio : ratio;
}

function table(changes: readonly FigureChange[]): string {
  const out = new Table({
    head: ["", "figure", "before", "now", "change", ""].map((text) => chalk.dim(text)),
    colAligns: ["left", "left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const change of changes) {
    const { id, figure, before, after, verdict } = change;
    const paint =
      verdict === "worse" ? chalk.red : verdict === "better" ? chalk.green : chalk.yellow;
    out.push([id, figure, value(before), value(after), percent(change), paint(word(change))]);
  }
  return out.toString();
}

/** As people say it: times and rates get faster or slower, counts fewer or more. */
function word({ verdict, unit, after, before }: FigureChange): string {
  switch (verdict) {
    case "same":
    case "changed":
      return verdict;
    case "better":
    case "worse":
      if (["ms", "GB/s", "GFLOP/s", "tokens/s", "ratio"].includes(unit))
        return verdict === "better" ? "faster" : "slower";
      return `${verdict}: ${after.median > before.median ? "more" : "fewer"}`;
    default:
      return verdict satisfies never;
  }
}

function describe(change: FigureChange): string {
  const { figure, before, after } = change;
  return `${figure} ${value(before)} → ${value(after)} (${percent(change)})`;
}

function value({ median, min, max, unit, count }: Figure): string {
  const suffix = ["count", "sectors", "ratio"].includes(unit) ? "" : ` ${unit}`;
  const spread = count > 1 && unit !== "ratio" ? ` (${shortNumber(min)}–${shortNumber(max)})` : "";
  return `${scaled(median, unit)}${suffix}${spread}`;
}

function percent({ ratio }: FigureChange): string {
  if (!Number.isFinite(ratio)) return "from 0";
  const change = 100 * (ratio - 1);
  return `${change > 0 ? "+" : ""}${change.toFixed(Math.abs(change) < 10 ? 1 : 0)} %`;
}

const mostListed = 12;

function listed(what: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > mostListed ? [`  and ${ids.length - mostListed} more`] : [];
  return [`${what}: ${ids.length}`, ...ids.slice(0, mostListed).map((id) => `  ${id}`), ...more];
}
