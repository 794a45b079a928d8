import Table from "cli-table3";
import { isOurs } from "./measure.ts";
import type { Comparison, Kind, Measured, Report, StepCosts } from "./results.ts";
import { type Spread, spread } from "./statistics.ts";

export function isExact(measured: readonly Measured[]): boolean {
  return measured.every(
    ({ kind, differences }) => !isOurs(kind) || differences.every((at) => at === null),
  );
}

export function compareWithPeers(measured: readonly Measured[]): Comparison[] {
  const fastest = (kind: Kind) =>
    measured
      .filter((row) => row.kind === kind)
      .sort((a, b) => b.tokensPerSecond.median - a.tokensPerSecond.median)[0];
  const ours = fastest("plain");
  return (["peer package", "peer native"] as const).flatMap((kind) => {
    const peer = fastest(kind);
    if (ours === undefined || peer === undefined) return [];
    const ratios = ours.rounds.map((rate, round) => rate / (peer.rounds[round] ?? Number.NaN));
    return [{ ours: ours.name, peer: peer.name, ratio: spread(ratios) }];
  });
}

export function formatReport(report: Report): string {
  const { environment, settings } = report;
  return [
    `${environment.date}, commit ${environment.commit}, Node ${environment.node}, ${environment.system}`,
    `${environment.cpu}, ${environment.cores} cores, ${environment.memoryGB} GB, ` +
      `load ${environment.loadBefore.toFixed(2)} before, ${report.loadAfter.toFixed(2)} after`,
    `${settings.prompts} prompts, ${settings.newTokens} new tokens each, greedy, one at a time, ` +
      `threads ${settings.threads} where not said, ` +
      `median (least to most) of ${settings.rounds} interleaved rounds, ${report.seconds.toFixed(0)} s in all`,
    "",
    rateTable(report.measured),
    "",
    ...(report.stepCosts.length > 0 ? [stepTable(report.stepCosts), ""] : []),
    ...report.againstPeers.map(
      ({ ours, peer, ratio }) =>
        `"${ours}" runs at ${ratio.median.toFixed(2)} times the speed of "${peer}" (${range(ratio, 2)}).`,
    ),
    report.exact
      ? "Every text of ours equals plain decoding's, token by token."
      : "NOT EXACT: a text of ours differs from plain decoding's (see the last column).",
  ].join("\n");
}

function rateTable(measured: readonly Measured[]): string {
  const table = new Table({
    head: [
      "configuration",
      "tokens/s",
      "least to most",
      "× plain",
      "tokens per step",
      "ms per step",
      "prompt ms",
      "peak MB (less Node)",
      "same tokens",
    ],
    colAligns: ["left", "right", "right", "right", "right", "right", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const row of measured) {
    table.push([
      row.name,
      row.tokensPerSecond.median.toFixed(0),
      range(row.tokensPerSecond, 0),
      row.overReference.median.toFixed(2),
      row.tokensPerStep.toFixed(2),
      row.stepMs.toFixed(3),
      row.promptMs.median.toFixed(1),
      `${row.memory.peak.toFixed(0)} (${(row.memory.peak - row.memory.beforeLoad).toFixed(0)})`,
      equality(row),
    ]);
  }
  return table.toString();
}

function stepTable(stepCosts: readonly StepCosts[]): string {
  const rows = stepCosts[0]?.steps.map((step) => step.rows) ?? [];
  const table = new Table({
    head: ["ms of a step with rows", ...rows.map(String)],
    colAligns: ["left", ...rows.map(() => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const { heads, steps } of stepCosts) {
    const plain = steps[0]?.ms.median ?? Number.NaN;
    table.push([heads, ...steps.map(({ ms }) => ms.median.toFixed(3))]);
    table.push(["  in plain steps", ...steps.map(({ ms }) => (ms.median / plain).toFixed(2))]);
  }
  return table.toString();
}

function equality({ differences }: Measured): string {
  const equal = differences.filter((at) => at === null).length;
  const places = [...new Set(differences.flatMap((at) => (at === null ? [] : [at])))];
  const shown = places.length === 0 ? "" : `, others from ${places.join(", ")}`;
  return `${equal} of ${differences.length}${shown}`;
}

function range({ min, max }: Spread, digits: number): string {
  return `${min.toFixed(digits)} to ${max.toFixed(digits)}`;
}
