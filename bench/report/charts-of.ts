import type { Chart } from "./chart.ts";
import { acceptanceChart, survivalChart } from "./charts/acceptance.ts";
import { breakdownChart } from "./charts/breakdown.ts";
import { categoryCharts } from "./charts/categories.ts";
import { ratesChart } from "./charts/rates.ts";
import { rooflineChart } from "./charts/roofline.ts";
import { speedByAcceptance } from "./charts/speed-by-acceptance.ts";
import { type CostLine, costChart } from "./charts/cost.ts";
import { treeSweepChart } from "./charts/tree-sweep.ts";
import { shortConditions } from "./conditions.ts";
import { barsOf, checkBars } from "./data-breakdown.ts";
import { decodingGroups } from "./data-decoding.ts";
import { groupsOf, type KernelGroup } from "./data-kernels.ts";
import type { ResultFile } from "./result-file.ts";

/** The charts a file has data for, what people look for first at the front. */
export function chartsOf(file: ResultFile): Chart[] {
  const conditions = shortConditions(file);
  return [
    ...promptCharts(file),
    ...decodingCharts(file),
    ...stepCharts(file),
    ...kernelCharts(file),
  ].map((chart) => ({ ...chart, caption: `${chart.caption} ${conditions}.` }));
}

function promptCharts(file: ResultFile): Chart[] {
  const prompts = file.kind === "suite" ? file.results.prompts : undefined;
  if (prompts === undefined) return [];
  return [
    ...categoryCharts(prompts),
    ...acceptanceChart(prompts),
    ...survivalChart(prompts),
    ...treeSweepChart(prompts),
  ];
}

function decodingCharts(file: ResultFile): Chart[] {
  return decodingGroups(file).flatMap((group) => [
    ...speedByAcceptance(group),
    ...ratesChart(group),
  ]);
}

function stepCharts(file: ResultFile): Chart[] {
  switch (file.kind) {
    case "decode": {
      const { stepCosts, settings } = file.results;
      return costChart(
        stepCosts.map(({ heads, steps }) => ({ name: heads, points: steps })),
        {
          name: "step-cost",
          group: "",
          title: "What a step costs by the nodes of its tree",
          what: "ms of a step",
          caption: `Drafting and verification; ${settings.model} on ${settings.device}.`,
        },
      );
    }
    case "gpu check":
      return (["phase", "family"] as const).flatMap((by) =>
        [...checkBars(file, by)].flatMap(([part, bars]) =>
          breakdownChart(bars, {
            name: by === "phase" ? "step-phases" : "step-breakdown",
            group: part,
            title: `Where a step's time goes, by ${by}: ${part}`,
            caption: `Kernels one by one by the device's clock, medians. ${file.results.device}.`,
            unit: "ms",
          }),
        ),
      );
    case "suite":
      return groupsOf(file.results, "steps").flatMap((group) => [
        ...costChart(costLines(group), {
          name: "step-cost",
          group: group.name,
          title: `What a step costs by the nodes of its tree: ${group.shape}`,
          what: "ms of a step",
          caption: `${deviceOf(group)}.`,
        }),
        ...breakdownChart(barsOf(group, "time"), {
          name: "step-breakdown",
          group: group.name,
          title: `Where a step's time goes: ${group.shape}`,
          caption: `By family of kernels and rows of the step, medians. ${deviceOf(group)}.`,
          unit: "ms",
        }),
        ...instructionBars(group, "steps"),
      ]);
    default:
      return file satisfies never;
  }
}

function kernelCharts(file: ResultFile): Chart[] {
  if (file.kind !== "suite") return [];
  return groupsOf(file.results, "kernels").flatMap((group) => [
    ...rooflineChart(group),
    ...costChart(costLines(group), {
      name: "kernel-cost",
      group: group.name,
      title: `Kernels by rows: ${group.shape}`,
      what: "ms",
      caption: `${deviceOf(group)}.`,
    }),
    ...instructionBars(group, "kernels"),
  ]);
}

function instructionBars(group: KernelGroup, what: string): Chart[] {
  return breakdownChart(barsOf(group, "instructions"), {
    name: `${what}-instructions`,
    group: group.name,
    title: `What the instructions are: ${what} of ${group.shape}`,
    caption: `Counted, the same in every run; totals on the right. ${deviceOf(group)}.`,
    unit: "instructions",
    shares: true,
  });
}

/** A line for each case that was measured with several numbers of rows. */
function costLines({ entries }: KernelGroup): CostLine[] {
  const lines = new Map<string, CostLine["points"][number][]>();
  for (const { family, name, rows, figures } of entries) {
    const { time } = figures;
    if (time?.unit !== "ms") continue;
    const line = name === "" ? family : `${family} ${name}`;
    lines.set(line, [...(lines.get(line) ?? []), { rows, ms: time }]);
  }
  return [...lines].flatMap(([name, points]) =>
    points.length < 2 ? [] : [{ name, points: points.sort((a, b) => a.rows - b.rows) }],
  );
}

function deviceOf({ device: { name, details } }: KernelGroup): string {
  return details === "" ? name : `${name} (${details})`;
}
