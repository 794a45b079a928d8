import {
  empty,
  numberCell,
  numberColumn,
  type ReportTable,
  textCell,
  textColumn,
} from "../report/tables/table.ts";
import {
  boundOf,
  type StepAnalysis,
  type StepPart,
  type StepWork,
  sumParts,
} from "./analyse-step.ts";
import type { StepComparison } from "./compare-steps.ts";

/** The tree step part by part, each with what the plain step takes for it. */
export function partsTable({ plain, tree }: StepComparison): ReportTable {
  const rows: ReportTable["rows"][number][] = [];
  let phase = "";
  for (const part of tree.parts) {
    if (part.phase !== phase) {
      phase = part.phase;
      const all = tree.parts.filter((one) => one.phase === phase);
      const others = plain.parts.filter((one) => one.phase === phase);
      if (all.length > 1)
        rows.push(
          row(phase, sumParts(all), others.length === 0 ? undefined : sumParts(others), tree),
        );
    }
    const alone = tree.parts.filter((one) => one.phase === phase).length === 1;
    rows.push(row(alone ? phase : `  ${part.name}`, part, same(part, plain), tree));
  }
  rows.push(row("step", tree.total, plain.total, tree));
  return {
    name: "model",
    title: titleOf(tree),
    columns: [
      textColumn("part"),
      ...["launches", "chain", "weights MB", "cache MB", "other MB", "GFLOP", "\u00b5s"].map(
        numberColumn,
      ),
      textColumn("bound by"),
      ...["plain: launches", "MB", "\u00b5s"].map(numberColumn),
    ],
    rows,
  };
}

/** What follows from the two. */
export function summary(comparison: StepComparison): string {
  const { plain, tree, ratio, byteRatio, verifyRatio, tokensPerStep, tokensPerSecond } = comparison;
  const { total, gpu } = tree;
  const bytes = total.weightBytes + total.cacheBytes + total.otherBytes;
  const share = (part: number) => `${((100 * part) / total.time).toFixed(1)} %`;
  return [
    `step over ${tree.nodes} nodes: ${ms(total.time)}; plain step: ${ms(plain.total.time)}; ratio ${ratio.toFixed(3)} (by bytes of weights and caches alone ${byteRatio.toFixed(3)})`,
    `verify: ${verifyRatio.toFixed(3)} plain steps`,
    `at ${tokensPerStep} tokens a step (assumed): ${tokensPerSecond.tree.toFixed(0)} tokens/s; plain ${tokensPerSecond.plain.toFixed(0)}; worth it from ${comparison.breakEven.toFixed(2)} tokens a step on`,
    `where the time goes: weights ${share(1e6 * (total.weightBytes / gpu.bandwidth))}, caches ${share(1e6 * (total.cacheBytes / gpu.bandwidth))}, launches shorter than the gap ${share(total.gapTime)}; ${gb(bytes)} GB moved, chain of ${total.depth} among ${total.launches} launches`,
    `limits: ${gpu.name}, ${(gpu.bandwidth / 1e12).toFixed(2)} TB/s, ${(gpu.matrixRate / 1e12).toFixed(0)} TFLOP/s, ${gpu.launchGap} \u00b5s from kernel to kernel; nothing overlaps`,
  ].join("\n");
}

function row(
  name: string,
  work: StepWork,
  other: StepWork | undefined,
  { gpu }: StepAnalysis,
): ReportTable["rows"][number] {
  const mb = (bytes: number) => numberCell(bytes / 1e6, fixed);
  return [
    textCell(name),
    numberCell(work.launches),
    numberCell(work.depth),
    mb(work.weightBytes),
    work.cacheBytes === 0 ? empty : mb(work.cacheBytes),
    mb(work.otherBytes),
    numberCell(work.flops / 1e9, fixed),
    numberCell(work.time, fixed),
    textCell(boundOf(work, gpu)),
    numberCell(other?.launches),
    other === undefined ? empty : mb(other.weightBytes + other.cacheBytes + other.otherBytes),
    numberCell(other?.time, fixed),
  ];
}

const same = (part: StepPart, { parts }: StepAnalysis): StepPart | undefined =>
  parts.find(({ phase, name }) => phase === part.phase && name === part.name);

const titleOf = ({ heads, nodes, context, gpu }: StepAnalysis): string =>
  `${heads === "none" ? "Step" : `Step with ${heads}`} over ${nodes} node${nodes === 1 ? "" : "s"} after ${context} tokens, ${gpu.arch}, beside a plain step`;

const fixed = (value: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const ms = (us: number): string => `${(us / 1000).toFixed(3)} ms`;
const gb = (bytes: number): string => (bytes / 1e9).toFixed(2);
