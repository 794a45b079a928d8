import type { Spread } from "../decode/statistics.ts";
import type { BenchEntry, Figure } from "../suite/results.ts";
import type { ResultFile } from "./result-file.ts";

/** One way of decoding that was measured, from whatever file. */
export interface DecodingRow {
  /** `hydra, auto`. */
  readonly name: string;
  /** Whose colour it has: `plain`, the name of the heads, `peers`. */
  readonly method: string;
  /** `fixed` trees, `auto` policy, or no tree at all. */
  readonly policy: "fixed" | "auto" | "none";
  readonly tokensPerSecond: Spread;
  readonly tokensPerStep: number;
}

/** Decoding with one set of conditions: rows of different groups are not to be compared. */
export interface DecodingGroup {
  /** Part of chart names; empty where a file has one group only. */
  readonly name: string;
  readonly conditions: string;
  readonly rows: readonly DecodingRow[];
}

export function decodingGroups(file: ResultFile): DecodingGroup[] {
  if (file.kind === "gpu check") return [];
  if (file.kind === "decode") {
    const { settings, measured } = file.results;
    const { prompts, newTokens, rounds } = settings;
    return [
      {
        name: "",
        conditions: `${settings.model} on ${settings.device}, ${prompts} prompts of ${newTokens} new tokens, greedy, ${rounds} interleaved rounds`,
        rows: measured.map((row) => ({
          name: row.name,
          ...methodOf(row.name, row.kind.startsWith("peer")),
          tokensPerSecond: row.tokensPerSecond,
          tokensPerStep: row.tokensPerStep,
        })),
      },
    ];
  }
  const groups = new Map<string, BenchEntry[]>();
  for (const entry of file.results.entries) {
    if (entry.suite !== "decode") continue;
    const name = `${entry.shape}@${entry.device}`;
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return [...groups].map(([name, entries]) => ({
    name,
    conditions: `${entries[0]?.shape} on ${entries[0]?.device}, greedy`,
    rows: entries.flatMap((entry) => {
      const rate = figureWithUnit(entry, "tokens/s");
      if (rate === undefined) return [];
      const full = entry.name === "" ? entry.family : `${entry.family}, ${entry.name}`;
      return [
        {
          name: full,
          ...methodOf(full, false),
          tokensPerSecond: rate,
          tokensPerStep: entry.figures["tokens per step"]?.median ?? Number.NaN,
        },
      ];
    }),
  }));
}

/** The first figure of an entry in this unit. */
export function figureWithUnit(entry: BenchEntry, unit: string): Figure | undefined {
  return Object.values(entry.figures).find((figure) => figure.unit === unit);
}

function methodOf(name: string, isPeer: boolean): Pick<DecodingRow, "method" | "policy"> {
  if (isPeer) return { method: "peers", policy: "none" };
  const [heads = name, setting = ""] = name.split(", ");
  if (heads === "plain") return { method: heads, policy: "none" };
  return { method: heads, policy: setting === "auto" ? "auto" : "fixed" };
}
