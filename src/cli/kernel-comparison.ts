/** The report of `hydra kernel run DIR`. */
import { basename } from "node:path";
import chalk from "chalk";
import Table from "cli-table3";
import type { ComparedKernel, KernelComparison } from "../index.ts";
import { findingText } from "./finding-text.ts";

/** One table, then the results, what the sanitiser found, and the verdict. */
export function comparisonText(comparison: KernelComparison): string {
  const { edited, reference } = comparison;
  return [
    headline(comparison),
    figures(comparison),
    "",
    ...resultLines(comparison),
    ...findingLines(reference),
    ...findingLines(edited),
    "",
    verdict(comparison),
    "",
  ].join("\n");
}

function headline({ entry, arch, device, launch, context }: KernelComparison): string {
  return [
    chalk.bold(entry),
    `${arch}, ${device === "emulator" ? "on the emulator" : device}`,
    `launch ${launch.number} of ${launch.of}: ${launch.label}, ${context} tokens in the caches`,
  ].join("\n");
}

interface Row {
  readonly name: string;
  /** Rows that one of the kernels has no value for are left out. */
  readonly value: (kernel: ComparedKernel) => number | undefined;
  readonly show?: (value: number, kernel: ComparedKernel) => string;
  /** Whether a smaller figure is the better one; neither where absent. */
  readonly better?: "less" | "more";
  /** Not worth a line when both have none. */
  readonly isQuiet?: boolean;
}

const counter =
  (name: string) =>
  ({ counters }: ComparedKernel): number | undefined => {
    const value = counters?.[name];
    return typeof value === "number" ? value : undefined;
  };

const whole = (value: number): string => value.toLocaleString("en-US");
const percent = (value: number): string => `${(100 * value).toFixed(0)} %`;

const rows: readonly Row[] = [
  {
    name: "blocks",
    value: ({ shape }) => shape.grid.reduce((product, extent) => product * extent, 1),
    show: (_, { shape }) => shape.grid.join("×"),
  },
  { name: "threads of a block", value: ({ shape }) => shape.threads },
  { name: "registers", value: ({ registers }) => registers, better: "less" },
  { name: "spilled bytes", value: ({ spillBytes }) => spillBytes, better: "less" },
  {
    name: "shared bytes of a block",
    value: ({ sharedBytes }) => sharedBytes,
    better: "less",
    isQuiet: true,
  },
  {
    name: "blocks on a multiprocessor",
    value: ({ occupancy }) => occupancy.blocksPerMultiprocessor,
    show: (blocks, { occupancy }) => `${blocks} (${occupancy.limitedBy})`,
    better: "more",
  },
  {
    name: "occupancy",
    value: ({ occupancy }) => occupancy.fraction,
    show: percent,
    better: "more",
  },
  { name: "warp instructions", value: counter("warpInstructions"), better: "less" },
  {
    name: "  of memory",
    value: ({ counters }) => laneShare(counters, "memory"),
    show: percent,
  },
  {
    name: "  of matrices",
    value: ({ counters }) => laneShare(counters, "matrix"),
    show: percent,
    isQuiet: true,
  },
  {
    name: "lanes in use",
    value: counter("laneUtilization"),
    show: percent,
    better: "more",
  },
  { name: "global bytes read", value: counter("globalBytesRead"), better: "less" },
  { name: "global bytes written", value: counter("globalBytesWritten"), better: "less" },
  {
    name: "sectors per request",
    value: counter("sectorsPerRequest"),
    show: (value) => value.toFixed(2),
    better: "less",
  },
  { name: "shared bytes read", value: counter("sharedBytesRead"), better: "less", isQuiet: true },
  {
    name: "shared bytes written",
    value: counter("sharedBytesWritten"),
    better: "less",
    isQuiet: true,
  },
  { name: "bank conflicts", value: counter("sharedBankConflicts"), better: "less", isQuiet: true },
  { name: "local bytes", value: localBytes, better: "less", isQuiet: true },
  { name: "atomics", value: counter("atomics"), better: "less", isQuiet: true },
];

function localBytes(kernel: ComparedKernel): number | undefined {
  const read = counter("localBytesRead")(kernel);
  const written = counter("localBytesWritten")(kernel);
  return read === undefined || written === undefined ? undefined : read + written;
}

/** Share of all instructions that are of a class. */
function laneShare(counters: ComparedKernel["counters"], name: string): number | undefined {
  const classes = counters?.instructions;
  if (counters === undefined || typeof classes !== "object") return undefined;
  return (classes[name] ?? 0) / Math.max(1, counters.laneInstructions);
}

function figures(comparison: KernelComparison): string {
  const { edited, reference } = comparison;
  const table = new Table({
    head: ["", "reference.cu", "kernel.cu", "change"],
    colAligns: ["left", "right", "right", "right"],
    // Its own colours come even where the output is a file. No rules between rows.
    style: { head: [], border: [], compact: true },
  });
  for (const { name, value, show = whole, better, isQuiet } of rows) {
    const [before, after] = [value(reference), value(edited)];
    if (before === undefined || after === undefined) continue;
    if (isQuiet && before === 0 && after === 0) continue;
    const shown = [show(before, reference), show(after, edited)] as const;
    // What looks the same is not worth a percentage of noughts.
    const by = shown[0] === shown[1] ? "" : change(before, after, better);
    table.push([name, ...shown, by]);
  }
  for (const row of timeRows(comparison)) table.push(row);
  return table.toString();
}

function timeRows({ times, launch }: KernelComparison): string[][] {
  if (times === undefined) return [];
  const { edited, reference, ratio } = times;
  const bytes = launch.weightBytes + launch.readBytes + launch.writtenBytes;
  const microseconds = (value: number): string => `${value.toFixed(2)} µs`;
  const rate = (value: number): string => `${(bytes / value / 1000).toFixed(0)} GB/s`;
  return [
    [
      `time, median of ${times.rounds} rounds`,
      microseconds(reference.median),
      microseconds(edited.median),
      change(1, ratio, "less"),
    ],
    ["  least", microseconds(reference.least), microseconds(edited.least), ""],
    ["  most", microseconds(reference.most), microseconds(edited.most), ""],
    ["bytes of the plan a second", rate(reference.median), rate(edited.median), ""],
  ];
}

function change(before: number, after: number, better: Row["better"]): string {
  if (before === after) return "";
  const text = before === 0 ? "new" : signed((after - before) / before);
  if (better === undefined) return text;
  return after < before === (better === "less") ? chalk.green(text) : chalk.red(text);
}

function signed(relative: number): string {
  const size = Math.abs(100 * relative);
  return `${relative < 0 ? "−" : "+"}${size >= 9.95 ? size.toFixed(0) : size.toFixed(1)} %`;
}

/** Buffers of a table with the same outcome are one line. */
function resultLines({ results, tolerance, verdict: outcome }: KernelComparison): string[] {
  if (results === undefined) return [];
  const lines = new Map<string, { name: string; type: string; text: string; count: number }>();
  for (const result of results) {
    const { name, dtype, elements, differing } = result;
    const type = dtype === "bytes" ? `${elements} bytes` : `${dtype}[${elements}]`;
    const text = differing === 0 ? chalk.green("same bits") : difference(result, tolerance);
    const table = name.replace(/\[\d+\]$/, "");
    const key = differing === 0 ? `${table} ${type}` : `${name} ${type}`;
    const known = lines.get(key);
    const of = { name: known === undefined ? name : table, type, text };
    lines.set(key, { ...of, count: (known?.count ?? 0) + 1 });
  }
  const shown = [...lines.values()].map((line) => ({
    ...line,
    name: line.count === 1 ? line.name : `${line.name} (${line.count} buffers)`,
  }));
  const width = (values: readonly string[]) => Math.max(...values.map(({ length }) => length));
  const names = width(shown.map(({ name }) => name));
  const types = width(shown.map(({ type }) => type));
  const title = outcome === "findings" ? "results, in spite of the findings:" : "results:";
  return [
    title,
    ...shown.map(
      ({ name, type, text }) => `  ${name.padEnd(names)}  ${type.padEnd(types)}  ${text}`,
    ),
  ];
}

function difference(
  { elements, differing, first, relative }: NonNullable<KernelComparison["results"]>[number],
  tolerance: number,
): string {
  const where = `${whole(differing)} of ${whole(elements)} differ, the first is element ${first}`;
  if (relative === undefined) return chalk.red(where);
  const size = Number.isFinite(relative)
    ? `the most by ${relative.toPrecision(2)} of the largest value`
    : "some are no finite numbers";
  return (relative <= tolerance ? chalk.yellow : chalk.red)(`${where}, ${size}`);
}

/** As many as one reads. */
const findingsShown = 5;

function findingLines({ findings }: ComparedKernel): string[] {
  const lines = findings.slice(0, findingsShown).map(findingText);
  const more = findings.length - lines.length;
  return more > 0 ? [...lines, `    and ${more} more`] : lines;
}

function verdict({ verdict: outcome, tolerance, edited, reference }: KernelComparison): string {
  switch (outcome) {
    case "same":
      return chalk.green(`${edited.file}: the same results, bit for bit`);
    case "within":
      return chalk.yellow(`${edited.file}: other results, within the tolerance of ${tolerance}`);
    case "different":
      return chalk.red(`${edited.file}: other results than ${basename(reference.file)}`);
    case "findings": {
      const at = [edited, reference].filter(({ findings }) => findings.length > 0);
      const faults = at.map(
        ({ file, findings }) =>
          `${file}: ${findings.length} finding${findings.length === 1 ? "" : "s"}`,
      );
      return chalk.red(faults.join(", "));
    }
    case "not compared":
      return `${edited.file}: no findings; not all blocks ran, so there are no results to compare`;
    default:
      return outcome satisfies never;
  }
}
