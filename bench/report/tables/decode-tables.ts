import type { Report } from "../../decode/results.ts";
import { formatNumber } from "../format.ts";
import {
  numberCell,
  numberColumn,
  type ReportTable,
  spreadCell,
  textCell,
  textColumn,
} from "./table.ts";

/** Rates, memory and equality of texts; what steps cost. */
export function decodeTables({ measured, stepCosts, againstPeers }: Report): ReportTable[] {
  const rates: ReportTable = {
    name: "decoding",
    title: "Decoding",
    columns: [
      textColumn("configuration"),
      numberColumn("tokens/s"),
      numberColumn("× plain"),
      numberColumn("tokens per step"),
      numberColumn("ms per step"),
      numberColumn("prompt ms"),
      numberColumn("peak MB"),
      textColumn("same tokens"),
    ],
    rows: measured.map((row) => {
      const equal = row.differences.filter((at) => at === null).length;
      const all = row.differences.length;
      const tone = equal === all ? "good" : row.kind.startsWith("peer") ? undefined : "bad";
      return [
        textCell(row.name),
        spreadCell(row.tokensPerSecond),
        spreadCell(row.overReference),
        numberCell(row.tokensPerStep, (value) => value.toFixed(2)),
        numberCell(row.stepMs),
        spreadCell(row.promptMs),
        numberCell(row.memory.peak),
        textCell(`${equal} of ${all}`, tone),
      ];
    }),
  };
  return [rates, ...steps(), ...peers()];

  function steps(): ReportTable[] {
    if (stepCosts.length === 0) return [];
    return [
      {
        name: "steps",
        title: "Cost of a step",
        columns: [
          textColumn("heads"),
          numberColumn("rows"),
          numberColumn("ms"),
          numberColumn("in plain steps"),
        ],
        rows: stepCosts.flatMap(({ heads, steps: own }) =>
          own.map(({ rows, ms }) => [
            textCell(heads),
            numberCell(rows),
            spreadCell(ms),
            numberCell(ms.median / (own[0]?.ms.median ?? Number.NaN), formatNumber),
          ]),
        ),
      },
    ];
  }

  function peers(): ReportTable[] {
    if (againstPeers.length === 0) return [];
    return [
      {
        name: "peers",
        title: "Against peers, round by round",
        columns: [textColumn("ours"), textColumn("peer"), numberColumn("ours over the peer")],
        rows: againstPeers.map(({ ours, peer, ratio }) => [
          textCell(ours),
          textCell(peer),
          spreadCell(ratio),
        ]),
      },
    ];
  }
}
