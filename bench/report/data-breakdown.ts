import type { BenchEntry } from "../suite/results.ts";
import type { KernelGroup } from "./data-kernels.ts";
import type { ResultFile } from "./result-file.ts";

/** One thing and its parts, in one unit. */
export interface Bar {
  readonly name: string;
  readonly total: number;
  readonly parts: readonly { readonly name: string; readonly value: number }[];
}

/** Entries with parts of a figure: those with a colon in their names, as in `time: attention`. */
export function barsOf({ entries }: KernelGroup, figure: string): Bar[] {
  const several = new Set(entries.map(({ family, name }) => `${family} ${name}`)).size > 1;
  return entries.flatMap((entry) => {
    const prefix = `${figure}: `;
    const parts = Object.entries(entry.figures).flatMap(([name, { median }]) =>
      name.startsWith(prefix) ? [{ name: name.slice(prefix.length), value: median }] : [],
    );
    const total = parts.reduce((sum, { value }) => sum + value, 0);
    return parts.length < 2 || !(total > 0)
      ? []
      : [{ name: entryLabel(entry, several), total, parts }];
  });
}

/** Launches of steps of a GPU check, by family of kernels or by phase of the step. */
export function checkBars(
  file: ResultFile & { kind: "gpu check" },
  by: "family" | "phase",
): Map<string, Bar[]> {
  const all = ": all launches, one by one";
  const separator = by === "family" ? ": " : ", phase: ";
  return new Map(
    Object.entries(file.results.parts).flatMap(([part, { figures }]) => {
      const bars = Object.keys(figures).flatMap((name) => {
        if (!name.endsWith(all)) return [];
        const what = name.slice(0, -all.length);
        const prefix = what + separator;
        const parts = Object.entries(figures).flatMap(([other, { median, unit }]) =>
          other !== name && unit === "ms" && other.startsWith(prefix)
            ? [{ name: other.slice(prefix.length), value: median }]
            : [],
        );
        const total = parts.reduce((sum, { value }) => sum + value, 0);
        return parts.length < 2 ? [] : [{ name: what, total, parts }];
      });
      return bars.length === 0 ? [] : [[part, bars] as const];
    }),
  );
}

function entryLabel({ family, name, rows }: BenchEntry, several: boolean): string {
  const what = several && name !== "" ? `${family} ${name}` : family;
  return `${what}, ${rows} ${rows === 1 ? "row" : "rows"}`;
}
