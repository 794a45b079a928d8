import Table from "cli-table3";
import type { Spread } from "../decode/statistics.ts";
import type {
  CategoryResults,
  MeasuredAcceptance,
  MethodResults,
  PromptsResults,
} from "./results.ts";

/** The results as tables for a terminal. */
export function formatPrompts(results: PromptsResults): string {
  const { longPrompts } = results;
  const long = {
    truncate: "cut from the left",
    skip: "left out",
  }[longPrompts.rule];
  return [
    `${results.file}: ${results.prompts} questions, ${results.turns} turns, at most ${results.newTokens} new tokens, ` +
      `${results.sampling}, ${results.model} on ${results.device}, ` +
      `median (least to most) of ${results.rounds} interleaved rounds`,
    ...(longPrompts.turns > 0
      ? [`Turns whose prompt does not fit in the context, ${long}: ${longPrompts.turns}.`]
      : []),
    "",
    "Tokens per step by category, and speed in times that of plain decoding",
    categoryTable(results.methods),
    "",
    rateTable(results.methods),
    ...results.methods.flatMap(methodTables),
    "",
    isExact(results)
      ? "Every text equals plain decoding's, token by token."
      : "NOT EXACT: a text differs from plain decoding's (see the last column).",
  ].join("\n");
}

/** Whether every text was plain decoding's. */
export function isExact({ methods }: PromptsResults): boolean {
  return methods.every(({ same }) => same.texts === same.of);
}

function categoryTable(methods: readonly MethodResults[]): string {
  const table = plainTable(["category", "turns", ...methods.slice(1).map(({ name }) => name)]);
  const rowsOf = ({ categories, overall }: MethodResults) => [...categories, overall];
  const [plain, ...drafting] = methods.map(rowsOf);
  for (const [index, { category, turns }] of (plain ?? []).entries()) {
    table.push([category, String(turns), ...drafting.map((rows) => stepsAndSpeed(rows[index]))]);
  }
  return table.toString();
}

function stepsAndSpeed(results: CategoryResults | undefined): string {
  if (results === undefined) return "";
  return `${results.tokensPerStep.toFixed(2)}  ×${results.speedup.median.toFixed(2)}`;
}

function rateTable(methods: readonly MethodResults[]): string {
  const table = plainTable([
    "heads",
    "tree",
    "tokens/s",
    "× plain",
    "tokens per step",
    "same texts",
  ]);
  for (const { name, tree, overall, same } of methods) {
    table.push([
      name,
      tree,
      shown(overall.tokensPerSecond, 0),
      shown(overall.speedup, 2),
      overall.tokensPerStep.toFixed(2),
      `${same.texts} of ${same.of}`,
    ]);
  }
  return table.toString();
}

function methodTables({ name, tree, overall, acceptance, sweep }: MethodResults): string[] {
  if (acceptance === undefined) return [];
  const { check } = acceptance;
  return [
    "",
    `${name}: how often the candidate of rank 0, 1, … is right, given the right prefix (%)`,
    acceptanceTable(acceptance),
    `Tokens per step with ${tree}: ${overall.tokensPerStep.toFixed(2)} decoding, ` +
      `${check.replayed.toFixed(2)} replaying the ranks ` +
      `(as many steps in ${check.sameSteps.turns} of ${check.sameSteps.of} turns), ` +
      `${check.expected.toFixed(2)} predicted by the table.`,
    ...(sweep === undefined || sweep.length === 0
      ? []
      : ["", `${name}: best static trees for this table`, sweepTable(sweep)]),
  ];
}

function acceptanceTable({ table, trials, survival }: MeasuredAcceptance): string {
  const ranks = table[0]?.length ?? 0;
  const out = plainTable([
    "depth",
    "positions",
    ...Array.from({ length: ranks }, (_, rank) => String(rank)),
    "any",
    "steps this deep",
  ]);
  for (const [depth, row] of table.entries()) {
    const all = row.reduce((total, share) => total + share, 0);
    out.push([
      String(depth + 1),
      String(trials[depth] ?? 0),
      ...row.map(percent),
      percent(all),
      survival[depth] === undefined ? "" : percent(survival[depth]),
    ]);
  }
  return out.toString();
}

function sweepTable(sweep: NonNullable<MethodResults["sweep"]>): string {
  const table = plainTable([
    "nodes",
    "deepest",
    "predicted tokens per step",
    "replayed",
    "ms of a step",
    "tokens/s",
    "as many steps as decoding",
  ]);
  for (const { nodes, paths, expected, tokensPerStep, stepMs, sameSteps } of sweep) {
    const rate =
      tokensPerStep === undefined || stepMs === undefined
        ? Number.NaN
        : (1000 * tokensPerStep) / stepMs.median;
    table.push([
      String(nodes),
      String(Math.max(0, ...paths.map((path) => path.length))),
      expected.toFixed(2),
      tokensPerStep?.toFixed(2) ?? "",
      stepMs === undefined ? "" : shown(stepMs, 3),
      Number.isNaN(rate) ? "" : rate.toFixed(0),
      sameSteps === undefined ? "" : `${sameSteps.turns} of ${sameSteps.of} turns`,
    ]);
  }
  return table.toString();
}

function plainTable(head: string[]): Table.Table {
  return new Table({
    head,
    colAligns: ["left", ...head.slice(1).map(() => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
}

function shown({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
