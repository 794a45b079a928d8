import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Environment } from "../decode/environment.ts";
import type { PartResult } from "./part.ts";

export type PartStatus = "passed" | "failed" | "crashed" | "timed out" | "no time";

export interface PartReport extends PartResult {
  readonly status: PartStatus;
  readonly seconds: number;
  /** The end of what the process printed, when it did not pass. */
  readonly output?: string;
}

/** The one file of a run. */
export interface Results {
  readonly device: string;
  readonly environment: Environment;
  readonly parts: Readonly<Record<string, PartReport>>;
}

export const nothing: PartResult = { passed: 0, failed: [], skipped: [], figures: {}, notes: {} };

/** Written beside its place and renamed into it: a run that is killed leaves the last whole file. */
export function writeResults(file: string, results: Results): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.part`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${file}.part`, file);
}

export function readResults(file: string): Results | undefined {
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, "utf8")) as Results;
}

export function formatPart(name: string, report: PartReport): string {
  const { status, seconds, passed, failed, skipped, figures, notes } = report;
  const counts = [
    passed > 0 ? `${passed} passed` : "",
    failed.length > 0 ? `${failed.length} failed` : "",
    skipped.length > 0 ? `${skipped.length} skipped` : "",
  ].filter((text) => text !== "");
  const lines = [
    `${name.padEnd(13)} ${status.padEnd(9)} ${seconds.toFixed(1).padStart(6)} s  ${counts.join(", ")}`,
  ];
  for (const [what, value] of Object.entries(notes)) lines.push(`    ${what}: ${value}`);
  for (const [what, { median, min, max, unit }] of Object.entries(figures))
    lines.push(`    ${what}: ${median} ${unit} (${min} to ${max})`);
  for (const failure of failed) {
    const [first = ""] = failure.message.split("\n");
    lines.push(`    FAILED ${failure.name}: ${first}`);
  }
  if (report.output !== undefined)
    lines.push(...report.output.split("\n").map((line) => `    | ${line}`));
  return lines.join("\n");
}
