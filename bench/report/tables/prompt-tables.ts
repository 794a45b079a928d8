import type { PromptsResults } from "../../prompts/results.ts";
import { formatPercent } from "../format.ts";
import {
  empty,
  numberCell,
  numberColumn,
  type ReportTable,
  spreadCell,
  textCell,
  textColumn,
} from "./table.ts";

/** Categories by method, and the best trees. */
export function promptTables({ methods }: PromptsResults): ReportTable[] {
  const sweeps = methods.flatMap(({ name, sweep = [] }) => sweep.map((point) => ({ name, point })));
  const categories: ReportTable = {
    name: "prompts",
    title: "Methods by category",
    columns: [
      textColumn("method"),
      textColumn("tree"),
      textColumn("category"),
      numberColumn("turns"),
      numberColumn("tokens per step"),
      numberColumn("tokens/s"),
      numberColumn("× plain"),
      textColumn("same texts"),
    ],
    rows: methods.flatMap(({ name, tree, overall, categories: own, same }) =>
      [overall, ...own].map((row) => [
        textCell(name),
        textCell(tree),
        textCell(row.category),
        numberCell(row.turns),
        numberCell(row.tokensPerStep, (value) => value.toFixed(2)),
        spreadCell(row.tokensPerSecond),
        spreadCell(row.speedup),
        row === overall
          ? textCell(`${same.texts} of ${same.of}`, same.texts === same.of ? "good" : "bad")
          : empty,
      ]),
    ),
  };
  return [categories, ...acceptanceTable(methods), ...(sweeps.length === 0 ? [] : [sweepTable()])];

  function sweepTable(): ReportTable {
    return {
      name: "trees",
      title: "Best static trees",
      columns: [
        textColumn("method"),
        numberColumn("nodes"),
        numberColumn("deepest"),
        numberColumn("predicted tokens per step"),
        numberColumn("replayed"),
        numberColumn("ms of a step"),
        numberColumn("tokens/s"),
      ],
      rows: sweeps.map(({ name, point: { nodes, paths, expected, tokensPerStep, stepMs } }) => [
        textCell(name),
        numberCell(nodes),
        numberCell(Math.max(0, ...paths.map((path) => path.length))),
        numberCell(expected, (value) => value.toFixed(2)),
        numberCell(tokensPerStep, (value) => value.toFixed(2)),
        spreadCell(stepMs),
        numberCell(
          stepMs === undefined ? undefined : (1000 * (tokensPerStep ?? expected)) / stepMs.median,
        ),
      ]),
    };
  }
}

function acceptanceTable(methods: PromptsResults["methods"]): ReportTable[] {
  const measured = methods.flatMap(({ name, acceptance }) =>
    acceptance === undefined ? [] : [{ name, ...acceptance }],
  );
  const ranks = Math.max(0, ...measured.map(({ table }) => table[0]?.length ?? 0));
  if (ranks === 0) return [];
  return [
    {
      name: "acceptance",
      title: "Acceptance by depth and rank, given the right prefix",
      columns: [
        textColumn("method"),
        numberColumn("depth"),
        numberColumn("positions"),
        ...Array.from({ length: ranks }, (_, rank) => numberColumn(`rank ${rank}`)),
        numberColumn("steps this deep"),
      ],
      rows: measured.flatMap(({ name, table, trials, survival }) =>
        table.map((row, depth) => [
          textCell(name),
          numberCell(depth + 1),
          numberCell(trials[depth]),
          ...Array.from({ length: ranks }, (_, rank) => numberCell(row[rank], formatPercent)),
          numberCell(survival[depth], formatPercent),
        ]),
      ),
    },
  ];
}
