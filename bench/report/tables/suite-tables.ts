import {
  type BenchEntry,
  type BenchResults,
  benchSuites,
  type Check,
} from "../../suite/results.ts";
import {
  type Cell,
  empty,
  numberCell,
  numberColumn,
  type ReportTable,
  spreadCell,
  textCell,
  textColumn,
} from "./table.ts";

/** Units that the figure's name says, or that are none. */
const unnamed = new Set(["count", "ratio", "sectors", "tokens/step"]);

/** A table for each suite on each device, with a column for every figure. */
export function suiteTables({ entries }: BenchResults): ReportTable[] {
  const devices = [...new Set(entries.map(({ device }) => device))];
  return benchSuites.flatMap((suite) =>
    devices.flatMap((device) => {
      const own = entries.filter((entry) => entry.suite === suite && entry.device === device);
      return own.length === 0
        ? []
        : [entryTable(`${suite}-${device}`, `${capital(suite)} on ${device}`, own)];
    }),
  );
}

function entryTable(name: string, title: string, entries: readonly BenchEntry[]): ReportTable {
  const figures = columnsOf(entries);
  return {
    name,
    title,
    columns: [
      textColumn("family"),
      textColumn("case"),
      textColumn("shape"),
      numberColumn("rows"),
      ...figures.map(([figure, unit]) =>
        numberColumn(unnamed.has(unit) ? figure : `${figure}, ${unit}`),
      ),
      textColumn("check"),
    ],
    rows: entries.map((entry) => [
      textCell(entry.family),
      textCell(entry.name),
      textCell(entry.shape),
      numberCell(entry.rows),
      ...figures.map(([figure, unit]) => {
        const found = entry.figures[figure];
        return found?.unit === unit ? spreadCell(found, unit) : empty;
      }),
      checkCell(entry.check),
    ]),
  };
}

/** Names and units of the figures; parts of a figure (`time: attention`) are in the charts. */
function columnsOf(entries: readonly BenchEntry[]): (readonly [string, string])[] {
  const columns = new Map<string, readonly [string, string]>();
  for (const { figures } of entries)
    for (const [name, { unit }] of Object.entries(figures))
      if (!name.includes(": ")) columns.set(`${name}\0${unit}`, [name, unit]);
  return [...columns.values()];
}

function checkCell(check: Check): Cell {
  switch (check.status) {
    case "passed":
      return textCell(
        check.error === 0 ? "equal" : `within ${check.error.toExponential(1)}`,
        "good",
      );
    case "failed":
      return textCell(
        `FAILED: ${check.error.toExponential(1)}, allowed ${check.tolerance.toExponential(1)}`,
        "bad",
      );
    case "skipped":
      return textCell(check.reason);
    default:
      return check satisfies never;
  }
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
