import type { Chart } from "./chart.ts";
import { comparisonChart } from "./charts/comparison.ts";
import { compareResults } from "../suite/compare.ts";
import { chartsOf } from "./charts-of.ts";
import { type Condition, conditionsOf } from "./conditions.ts";
import type { ResultFile } from "./result-file.ts";
import { checkTables } from "./tables/check-tables.ts";
import { comparisonTable } from "./tables/comparison-table.ts";
import { decodeTables } from "./tables/decode-tables.ts";
import { promptTables } from "./tables/prompt-tables.ts";
import { suiteTables } from "./tables/suite-tables.ts";
import type { ReportTable } from "./tables/table.ts";

/** What is shown of one file, or of two that are compared. */
export interface Section {
  readonly title: string;
  readonly conditions: readonly Condition[];
  /** Results that are wrong, in words; empty when everything is as it should be. */
  readonly problems: readonly string[];
  readonly charts: readonly Chart[];
  readonly tables: readonly ReportTable[];
}

/** First what changed from the first file to each other one that measured the same, then every file. */
export function reportOf(files: readonly ResultFile[]): Section[] {
  const [first, ...others] = files;
  return [
    ...(first === undefined ? [] : others.flatMap((other) => comparison(first, other))),
    ...files.map((file) => ({
      title: file.label,
      conditions: conditionsOf(file),
      problems: problemsOf(file),
      charts: chartsOf(file),
      tables: tablesOf(file),
    })),
  ];
}

function comparison(old: ResultFile, fresh: ResultFile): Section[] {
  const tables = comparisonTable(old, fresh);
  if (tables.length === 0) return [];
  return [
    {
      title: `${fresh.label} against ${old.label}`,
      conditions: [],
      problems: warnings(old, fresh),
      charts: comparisonChart(old, fresh),
      tables,
    },
  ];
}

/** Why two files may not be comparable. */
function warnings(old: ResultFile, fresh: ResultFile): readonly string[] {
  if (old.kind === "suite" && fresh.kind === "suite")
    return compareResults(old.results, fresh.results).warnings;
  const machines = [old, fresh].map(({ results }) => results.environment.cpu);
  return machines[0] === machines[1] ? [] : [`other machines: ${machines.join(" and ")}`];
}

function tablesOf(file: ResultFile): ReportTable[] {
  switch (file.kind) {
    case "suite":
      return [
        ...(file.results.prompts === undefined ? [] : promptTables(file.results.prompts)),
        ...suiteTables(file.results),
      ];
    case "decode":
      return decodeTables(file.results);
    case "gpu check":
      return checkTables(file.results);
    default:
      return file satisfies never;
  }
}

function problemsOf(file: ResultFile): string[] {
  switch (file.kind) {
    case "suite": {
      const { entries, prompts } = file.results;
      return [
        ...entries.flatMap(({ id, check }) =>
          check.status === "failed" ? [`${id} differs from ${check.against}.`] : [],
        ),
        ...(prompts?.methods ?? []).flatMap(({ name, same: { texts, of } }) =>
          texts === of ? [] : [`${of - texts} texts of ${name} differ from plain decoding's.`],
        ),
      ];
    }
    case "decode":
      return file.results.exact ? [] : ["A text of ours differs from plain decoding's."];
    case "gpu check":
      return Object.entries(file.results.parts).flatMap(([part, { status }]) =>
        status === "passed" ? [] : [`Part ${part}: ${status}.`],
      );
    default:
      return file satisfies never;
  }
}
