import chalk from "chalk";
import type { FigureDiff, InspectionDiff, KernelDiff, LoneKernel } from "../index.ts";

/** A comparison of two programs for people; coloured where the terminal is. What is the same is only counted. */
export function diffText(diff: InspectionDiff): string {
  const { before, after, pairs, onlyBefore, onlyAfter, headers, totals, identical } = diff;
  const changed = pairs.filter((pair) => !pair.identical);
  const lines = [
    chalk.red(`- ${before.title} (${before.command}, ${dateOf(before.made)})`),
    chalk.green(`+ ${after.title} (${after.command}, ${dateOf(after.made)})`),
    "",
    summary(diff, changed.length),
    ...figureLines(totals),
    ...(onlyBefore.length + onlyAfter.length > 0 ? [""] : []),
    ...onlyBefore.map((kernel) => chalk.red(`- ${lone(kernel)}`)),
    ...onlyAfter.map((kernel) => chalk.green(`+ ${lone(kernel)}`)),
    ...changed.flatMap((pair) => ["", ...pairLines(pair)]),
    ...headers.flatMap(({ name, patch, kernels }) => [
      "",
      chalk.bold(`${name}, which ${count(kernels, "kernel")} include${kernels === 1 ? "s" : ""}`),
      ...patchLines(patch),
    ]),
  ];
  if (identical) return `${lines.slice(0, 3).join("\n")}${chalk.green(identicalLine(diff))}\n`;
  return `${lines.join("\n")}\n`;
}

function identicalLine({ pairs }: InspectionDiff): string {
  return `identical: ${count(pairs.length, "kernel")}, the same CUDA and figures`;
}

function summary(
  { pairs, onlyBefore, onlyAfter, otherLaunches }: InspectionDiff,
  changed: number,
): string {
  const parts = [
    `${changed} changed`,
    `${pairs.length - changed} the same`,
    `${onlyBefore.length} only before`,
    `${onlyAfter.length} only after`,
  ];
  const isOrderAlone = otherLaunches && changed + onlyBefore.length + onlyAfter.length === 0;
  const order = isOrderAlone ? "; the launches are others, or in another order" : "";
  return chalk.bold(
    `${count(pairs.length + onlyBefore.length + onlyAfter.length, "kernel")}: ${parts.join(", ")}${order}`,
  );
}

function pairLines(pair: KernelDiff): string[] {
  const { before, after, labels, patch, headers, figures, isTextKnown } = pair;
  const name = before === after ? after : `${before} → ${after}`;
  const { added, removed } = headers;
  const lines = [chalk.bold(name), `  ${shortList(labels)}`, ...figureLines(figures)];
  if (added.length > 0) lines.push(`  includes ${added.join(", ")}`);
  if (removed.length > 0) lines.push(`  no longer includes ${removed.join(", ")}`);
  if (headers.changed.length > 0) lines.push(`  changed: ${headers.changed.join(", ")} (below)`);
  if (!isTextKnown) lines.push("  its text is not at hand on both sides");
  return [...lines, ...patchLines(patch)];
}

function lone({ entry, labels }: LoneKernel): string {
  return `${entry}  # ${shortList(labels)}`;
}

/** Layers repeat; the first label says which part of a layer it is. */
function shortList(labels: readonly string[]): string {
  const [first = "", ...more] = labels;
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}

/** The lines of a unified diff from its first hunk on. */
function patchLines(patch: string): string[] {
  const lines = patch.trimEnd().split("\n");
  const first = lines.findIndex((line) => line.startsWith("@@"));
  if (first < 0) return [];
  return lines.slice(first).map((line) => {
    if (line.startsWith("@@")) return chalk.cyan(line);
    if (line.startsWith("-")) return chalk.red(line);
    return line.startsWith("+") ? chalk.green(line) : line;
  });
}

function figureLines(figures: readonly FigureDiff[]): string[] {
  const changed = figures.filter(({ isDifferent }) => isDifferent);
  const width = Math.max(0, ...changed.map(({ name }) => name.length));
  return changed.map(({ name, unit, before, after }) => {
    const rounded = [before, after].map((value) => show(value, unit));
    // What rounding makes equal is told in full.
    const isEqual = rounded[0] === rounded[1];
    const values = isEqual ? [before, after].map((value) => exact(value, unit)) : rounded;
    return `  ${name.padEnd(width)}  ${values.join(" → ")}${relative(before, after)}`;
  });
}

function exact(value: FigureDiff["before"], unit: FigureDiff["unit"]): string {
  const text = value?.toLocaleString("en-US", { maximumFractionDigits: 6 }) ?? "?";
  return unit === "bytes" ? `${text} B` : text;
}

function relative(before: FigureDiff["before"], after: FigureDiff["after"]): string {
  if (typeof before !== "number" || typeof after !== "number" || before === 0) return "";
  const change = (100 * (after - before)) / before;
  const size = Math.abs(change);
  return `  (${change < 0 ? "−" : "+"}${size >= 9.95 ? size.toFixed(0) : size.toFixed(1)} %)`;
}

function show(value: FigureDiff["before"], unit: FigureDiff["unit"]): string {
  if (typeof value !== "number") return value ?? "?";
  switch (unit) {
    case "number":
      return value.toLocaleString("en-US");
    case "share":
      return `${(100 * value).toFixed(0)} %`;
    case "microseconds":
      return `${value.toFixed(1)} µs`;
    case "bytes":
      return scaled(value, ["B", "kB", "MB", "GB", "TB"]);
    case "operations":
      return scaled(value, ["", "k", "M", "G", "T", "P"]);
    case "text":
      return String(value);
    default:
      return unit satisfies never;
  }
}

/** Three digits and a decimal unit. */
function scaled(value: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit === 0 ? rest : rest.toPrecision(3)} ${units[unit] ?? ""}`.trimEnd();
}

const count = (number: number, what: string): string =>
  `${number} ${what}${number === 1 ? "" : "s"}`;

/** To the minute: `2026-11-21 17:12`. */
const dateOf = (made: string): string => made.slice(0, 16).replace("T", " ");
