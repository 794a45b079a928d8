import type { Results } from "../../gpu-check/results.ts";
import {
  numberCell,
  numberColumn,
  type ReportTable,
  spreadCell,
  textCell,
  textColumn,
} from "./table.ts";

/** The parts of a GPU check, what failed in them, and what they measured and noted. */
export function checkTables({ parts }: Results): ReportTable[] {
  const all = Object.entries(parts);
  const failures = all.flatMap(([part, { failed }]) => failed.map((one) => ({ part, ...one })));
  const tables: ReportTable[] = [
    {
      name: "parts",
      title: "Parts",
      columns: [
        textColumn("part"),
        textColumn("status"),
        numberColumn("seconds"),
        numberColumn("passed"),
        numberColumn("failed"),
        numberColumn("skipped"),
      ],
      rows: all.map(([part, { status, seconds, passed, failed, skipped }]) => [
        textCell(part),
        textCell(status, status === "passed" ? "good" : "bad"),
        numberCell(seconds),
        numberCell(passed),
        numberCell(failed.length),
        numberCell(skipped.length),
      ]),
    },
    {
      name: "failures",
      title: "What failed",
      columns: [textColumn("part"), textColumn("check"), textColumn("message")],
      rows: failures.map(({ part, name, message }) => [
        textCell(part),
        textCell(name, "bad"),
        textCell(message.split("\n")[0] ?? ""),
      ]),
    },
    {
      name: "figures",
      title: "Figures",
      columns: [
        textColumn("part"),
        textColumn("figure"),
        numberColumn("value"),
        textColumn("unit"),
        numberColumn("measurements"),
      ],
      rows: all.flatMap(([part, { figures }]) =>
        Object.entries(figures).map(([name, { unit, count, ...spread }]) => [
          textCell(part),
          textCell(name),
          spreadCell(spread),
          textCell(unit),
          numberCell(count),
        ]),
      ),
    },
    {
      name: "notes",
      title: "Notes",
      columns: [textColumn("part"), textColumn("note"), textColumn("value")],
      rows: all.flatMap(([part, { notes }]) =>
        Object.entries(notes).map(([name, value]) => [
          textCell(part),
          textCell(name),
          { text: String(value), value: typeof value === "number" ? value : undefined },
        ]),
      ),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}
