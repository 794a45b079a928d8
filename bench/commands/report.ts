import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import chalk from "chalk";
import type { Command } from "commander";
import { formatReport } from "../decode/report.ts";
import { formatPart } from "../gpu-check/results.ts";
import { formatPrompts } from "../prompts/report.ts";
import { darkPalette, lightPalette } from "../report/palette.ts";
import { renderSvg } from "../report/render-svg.ts";
import { reportOf } from "../report/report.ts";
import { reportPage } from "../report/report-page.ts";
import { fileName, readResultFile, type ResultFile, uniqueLabels } from "../report/result-file.ts";
import { formatTable } from "../report/tables/terminal.ts";
import { compareResults } from "../suite/compare.ts";
import { formatComparison } from "../suite/compare-table.ts";
import { formatResults } from "../suite/tables.ts";
import { comparisonTable } from "../report/tables/comparison-table.ts";

interface Flags {
  readonly html?: string;
  readonly svg?: string;
}

/** `bench report`: results files as tables, a page, pictures. */
export function register(program: Command): void {
  program
    .command("report")
    .description("results files as tables, as a page (--html) and as pictures (--svg)")
    .argument(
      "<files...>",
      "what --json of any benchmark or gpu:check wrote; the first is the old one",
    )
    .option("--html <file>", "one page of charts and tables that needs no network")
    .option("--svg <dir>", "a picture of every chart, for light and for dark pages")
    .action(report);
}

async function report(paths: readonly string[], { html, svg }: Flags): Promise<void> {
  const files = uniqueLabels(paths.map(readResultFile));
  if (html === undefined && svg === undefined) console.log(formatFiles(files));
  if (html !== undefined) {
    write(html, await reportPage(files));
    console.log(html);
  }
  if (svg !== undefined) for (const path of writePictures(files, svg)) console.log(path);
}

/** @returns the paths, `DIR/FILE-CHART-SCHEME.svg`. */
export function writePictures(files: readonly ResultFile[], folder: string): string[] {
  return reportOf(files).flatMap(({ title, charts }) =>
    charts.flatMap((chart) =>
      [lightPalette, darkPalette].map((palette) => {
        const name = chart.name === "comparison" ? title : `${title}-${chart.name}`;
        const path = join(folder, `${fileName(name)}-${palette.scheme}.svg`);
        write(path, renderSvg(chart, palette));
        return path;
      }),
    ),
  );
}

function formatFiles(files: readonly ResultFile[]): string {
  const [first, ...others] = files;
  const parts = files.map((file) => `${chalk.bold.underline(file.label)}\n${formatFile(file)}`);
  if (first !== undefined) parts.push(...others.flatMap((other) => formatChanges(first, other)));
  return parts.join("\n\n");
}

function formatFile(file: ResultFile): string {
  switch (file.kind) {
    case "suite": {
      const { entries, prompts } = file.results;
      return [
        ...(prompts === undefined ? [] : [formatPrompts(prompts)]),
        ...(entries.length === 0 ? [] : [formatResults(file.results)]),
      ].join("\n\n");
    }
    case "decode":
      return formatReport(file.results);
    case "gpu check":
      return Object.entries(file.results.parts)
        .map(([name, part]) => formatPart(name, part))
        .join("\n");
    default:
      return file satisfies never;
  }
}

/** What two files of the same kind have in common. */
function formatChanges(old: ResultFile, fresh: ResultFile): string[] {
  const sizes = old.kind === "suite" && fresh.kind === "suite";
  if (sizes && old.results.entries.length > 0 && fresh.results.entries.length > 0)
    return [formatComparison(compareResults(old.results, fresh.results), old.label)];
  return comparisonTable(old, fresh).map(formatTable);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
