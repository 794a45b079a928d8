import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { HydrantError } from "../../src/util/errors.ts";
import type { Report } from "../decode/results.ts";
import type { Results } from "../gpu-check/results.ts";
import type { BenchResults } from "../suite/results.ts";
import { BadField, hasFields } from "./read-json.ts";
import { readBenchResults, readCheckResults, readDecodeReport } from "./result-readers.ts";

/** A file that a benchmark of ours wrote. `label` is its name for people: no folder, no `.json`. */
export type ResultFile = { readonly label: string } & (
  | { readonly kind: "suite"; readonly results: BenchResults }
  | { readonly kind: "decode"; readonly results: Report }
  | { readonly kind: "gpu check"; readonly results: Results }
);

/**
 * Reads results of `bench`, `bench prompts`, `bench decode` or `gpu:check`.
 * @throws HydrantError `report/cannot-read`, `report/not-json`, `report/newer`, `report/not-results`
 * when it is no file of ours, `report/bad-field` when it should be one but a field is wrong.
 */
export function readResultFile(path: string): ResultFile {
  return parseResults(readText(path), path);
}

/** As `readResultFile`, of the file's text. */
export function parseResults(text: string, path: string): ResultFile {
  const label = basename(path).replace(/\.json$/, "");
  const json = parse(text, path);
  try {
    if (hasFields(json, "format", "entries"))
      return { label, kind: "suite", results: readBenchResults(json, "") };
    if (hasFields(json, "measured", "settings"))
      return { label, kind: "decode", results: readDecodeReport(json, "") };
    if (hasFields(json, "parts", "device"))
      return { label, kind: "gpu check", results: readCheckResults(json, "") };
  } catch (error) {
    if (!(error instanceof BadField)) throw error;
    throw new HydrantError("report/bad-field", error.message, {
      path,
      hint: "Make the file again with the benchmark of this version.",
    });
  }
  throw new HydrantError("report/not-results", "This JSON is no results file of hydrant.", {
    path,
    hint: "`bench report` reads what `bench --json`, `bench prompts --json`, `bench decode --json` and `gpu:check --out` write.",
  });
}

/** The label of each file, made unique by a number where two have the same name. */
export function uniqueLabels(files: readonly ResultFile[]): ResultFile[] {
  const seen = new Map<string, number>();
  return files.map((file) => {
    const count = (seen.get(file.label) ?? 0) + 1;
    seen.set(file.label, count);
    return count === 1 ? file : { ...file, label: `${file.label} (${count})` };
  });
}

/** A label or title as part of a file's name. */
export function fileName(text: string): string {
  return text.replace(/[^\w.+-]+/g, "-");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HydrantError("report/cannot-read", `Cannot read it: ${why}.`, { path, cause });
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HydrantError("report/not-json", `It is no JSON: ${why}.`, { path, cause });
  }
}
