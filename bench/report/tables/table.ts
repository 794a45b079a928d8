import type { Spread } from "../../decode/statistics.ts";
import { formatNumber, formatSpread } from "../format.ts";

/** A table for the terminal and the page alike. */
export interface ReportTable {
  /** Unique among the tables of a file. */
  readonly name: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

export interface Cell {
  readonly text: string;
  /** What the column is sorted by; its text where there is none. */
  readonly value?: number | undefined;
  readonly tone?: "good" | "bad" | undefined;
}

export const empty: Cell = { text: "" };

export function textColumn(title: string): Column {
  return { title, align: "left" };
}

export function numberColumn(title: string): Column {
  return { title, align: "right" };
}

export function textCell(text: string, tone?: Cell["tone"]): Cell {
  return { text, tone };
}

export function numberCell(value: number | undefined, text = formatNumber): Cell {
  return value === undefined || Number.isNaN(value) ? empty : { text: text(value), value };
}

export function spreadCell(spread: Spread | undefined, unit?: string): Cell {
  return spread === undefined ? empty : { text: formatSpread(spread, unit), value: spread.median };
}

/** Rows by a column; equal ones, and those without a value, keep their order, the latter at the end. */
export function sortRows(
  rows: ReportTable["rows"],
  column: number,
  direction: "up" | "down",
): ReportTable["rows"] {
  const sign = direction === "up" ? 1 : -1;
  return rows.toSorted((a, b) => {
    const [x = empty, y = empty] = [a[column], b[column]];
    const isEmpty = Number(x.text === "") - Number(y.text === "");
    return isEmpty === 0 ? sign * compare(x, y) : isEmpty;
  });
}

function compare(a: Cell, b: Cell): number {
  if (a.value !== undefined && b.value !== undefined) return a.value - b.value;
  return a.text.localeCompare(b.text, "en", { numeric: true });
}

/** Rows where some cell holds the text, in whatever case. */
export function filterRows(rows: ReportTable["rows"], text: string): ReportTable["rows"] {
  const wanted = text.trim().toLowerCase();
  return rows.filter((cells) => cells.some((cell) => cell.text.toLowerCase().includes(wanted)));
}
