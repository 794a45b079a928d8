import chalk from "chalk";
import Table from "cli-table3";
import { scaled, shortNumber } from "./numbers-text.ts";
import type { BenchEntry, BenchResults, Check, Figure } from "./results.ts";

/** The suite's results for people: where, one table for each suite on each device, and what failed. */
export function formatResults(results: BenchResults): string {
  const { environment, devices, entries } = results;
  const parts = [
    `${environment.date}, commit ${environment.commit}, Node ${environment.node}, ${environment.system}`,
    `${environment.cpu}, ${environment.cores} cores, ${environment.memoryGB} GB, load ${environment.loadBefore.toFixed(2)} before, ${results.loadAfter.toFixed(2)} after, ${results.seconds.toFixed(0)} s in all`,
  ];
  for (const { name, details, copyBandwidth, matrixRate } of devices) {
    const copy =
      copyBandwidth === undefined ? "" : `, copies ${shortNumber(copyBandwidth / 1e9)} GB/s`;
    const matrices =
      matrixRate === undefined ? "" : `, bf16 products ${shortNumber(matrixRate / 1e12)} TFLOP/s`;
    parts.push(`${name}: ${details}${copy}${matrices}`);
  }
  for (const group of groupsOf(entries)) {
    const [first] = group;
    if (first === undefined) continue;
    parts.push("", chalk.bold(`${first.suite}, ${first.device}`), table(group));
    const shares = breakdown(group);
    if (shares !== undefined) parts.push("", shares);
  }
  parts.push("", verdict(entries));
  return parts.join("\n");
}

/** Entries of one suite on one device. */
function groupsOf(entries: readonly BenchEntry[]): readonly (readonly BenchEntry[])[] {
  const groups = new Map<string, BenchEntry[]>();
  for (const entry of entries) {
    const key = `${entry.suite} ${entry.device}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return [...groups.values()];
}

/** Parts of another figure, as in `time: linear`, have a table of their own or none. */
const isPart = (name: string): boolean => name.includes(":");

function table(group: readonly BenchEntry[]): string {
  const figures = new Map<string, Figure>();
  for (const entry of group)
    for (const [name, figure] of Object.entries(entry.figures))
      if (!isPart(name)) figures.set(name, figures.get(name) ?? figure);
  const names = [...figures.keys()];
  const shapes = new Set(group.map(({ shape }) => shape)).size > 1;
  // What has a spread shows that of its first figure; the others follow from it.
  const spreadOf = names.find((name) =>
    group.some((entry) => (entry.figures[name]?.count ?? 0) > 1),
  );
  const head = [
    "",
    ...(shapes ? ["shape"] : []),
    "rows",
    ...names.flatMap((name) => [
      heading(name, figures.get(name)),
      ...(name === spreadOf ? ["least to most"] : []),
    ]),
    "check",
  ];
  const out = new Table({
    head: head.map((text) => chalk.dim(text)),
    colAligns: head.map((_, i) =>
      i === 0 || (shapes && i === 1) || i === head.length - 1 ? "left" : "right",
    ),
    style: { head: [], border: [], compact: true },
  });
  let last = "";
  for (const entry of group) {
    const title = `${entry.family} ${entry.name}`;
    out.push([
      title === last ? "" : title,
      ...(shapes ? [entry.shape] : []),
      String(entry.rows),
      ...names.flatMap((name) => {
        const figure = entry.figures[name];
        const value = figure === undefined ? "" : scaled(figure.median, figure.unit);
        return name === spreadOf ? [value, range(figure)] : [value];
      }),
      shortCheck(entry.check),
    ]);
    last = title;
  }
  return out.toString();
}

function heading(name: string, figure: Figure | undefined): string {
  if (figure === undefined) return name;
  switch (figure.unit) {
    case "count":
    case "bytes":
    case "sectors":
    case "tokens/step":
      return name;
    case "ratio":
      return `% ${name}`;
    case "ms":
      return name === "time" ? "ms" : `${name}, ms`;
    default:
      return figure.unit;
  }
}

function range(figure: Figure | undefined): string {
  if (figure === undefined || figure.count < 2) return "";
  return `${shortNumber(figure.min)} to ${shortNumber(figure.max)}`;
}

function shortCheck(check: Check): string {
  switch (check.status) {
    case "passed":
      return check.error === 0 ? "exact" : check.error.toExponential(0);
    case "failed":
      return chalk.red("FAILED");
    case "skipped":
      return chalk.dim("–");
    default:
      return check satisfies never;
  }
}

/** Where the time of steps goes, in percent; where it was measured launch by launch. */
function breakdown(group: readonly BenchEntry[]): string | undefined {
  const parts = group.map((entry) =>
    Object.entries(entry.figures).filter(([name]) => name.startsWith("time:")),
  );
  const names = [...new Set(parts.flatMap((all) => all.map(([name]) => name)))];
  if (names.length === 0) return undefined;
  const head = ["launches one by one", "rows", "ms", ...names.map((name) => `% ${name.slice(6)}`)];
  const out = new Table({
    head: head.map((text) => chalk.dim(text)),
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  for (const [index, entry] of group.entries()) {
    const own = parts[index] ?? [];
    if (own.length === 0) continue;
    const sum = own.reduce((total, [, { median }]) => total + median, 0);
    out.push([
      `${entry.family} ${entry.name}`,
      String(entry.rows),
      shortNumber(sum),
      ...names.map((name) => {
        const figure = entry.figures[name];
        return figure === undefined ? "" : ((100 * figure.median) / sum).toFixed(1);
      }),
    ]);
  }
  return out.toString();
}

/** How many results were right, and every one that was not. */
function verdict(entries: readonly BenchEntry[]): string {
  const with_ = (status: Check["status"]) =>
    entries.filter((entry) => entry.check.status === status);
  const failed = with_("failed");
  const skipped = with_("skipped").length;
  const summary = `${entries.length} entries, ${with_("passed").length} checked and right${skipped > 0 ? `, ${skipped} not checked` : ""}`;
  if (failed.length === 0) return `${summary}.`;
  const lines = failed.map(({ id, check }) => {
    if (check.status !== "failed") return id;
    const size =
      check.tolerance > 0 ? ` (off by ${check.error}, ${check.tolerance} is allowed)` : "";
    return `  ${id}: against ${check.against}${size}: ${check.message ?? ""}`;
  });
  return [`${summary}, ${failed.length} FAILED:`, ...lines]
    .map((line) => chalk.red(line))
    .join("\n");
}
