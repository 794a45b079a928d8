import chalk from "chalk";
import Table from "cli-table3";
import type { Cell, ReportTable } from "./table.ts";

/** A table as lines of text, its title above. */
export function formatTable({ title, columns, rows }: ReportTable): string {
  const table = new Table({
    head: columns.map((column) => column.title),
    colAligns: columns.map(({ align }) => align),
    style: { head: [], border: [], compact: true },
  });
  for (const cells of rows) table.push(cells.map(coloured));
  return `${chalk.bold(title)}\n${table.toString()}`;
}

function coloured({ text, tone }: Cell): string {
  // Names come from files: they must not steer the terminal.
  const plain = text.replace(/\p{Cc}/gu, "\uFFFD");
  if (tone === undefined) return plain;
  return tone === "good" ? chalk.green(plain) : chalk.red(plain);
}
