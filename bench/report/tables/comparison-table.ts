import { type Change, compareFiles } from "../data-comparison.ts";
import type { ResultFile } from "../result-file.ts";
import { numberColumn, type ReportTable, spreadCell, textCell, textColumn } from "./table.ts";

/** Every figure both files have, the largest loss first. */
export function comparisonTable(old: ResultFile, fresh: ResultFile): ReportTable[] {
  const changes = compareFiles(old, fresh);
  if (changes.length === 0) return [];
  return [
    {
      name: "comparison",
      title: "Every figure of both files",
      columns: [
        textColumn("what"),
        textColumn("figure"),
        numberColumn(`old: ${old.label}`),
        numberColumn(`new: ${fresh.label}`),
        textColumn("unit"),
        numberColumn("times as good"),
        textColumn("verdict"),
      ],
      rows: changes.map((change) => [
        textCell(change.id),
        textCell(change.name),
        spreadCell(change.old, change.unit),
        spreadCell(change.new, change.unit),
        textCell(change.unit),
        spreadCell(change.progress),
        textCell(change.verdict, toneOf(change)),
      ]),
    },
  ];
}

function toneOf({ verdict }: Change): "good" | "bad" | undefined {
  if (verdict === "better") return "good";
  return verdict === "worse" ? "bad" : undefined;
}
