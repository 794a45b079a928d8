import type { Chart } from "./chart.ts";
import { ratesChart } from "./charts/rates.ts";
import { speedByAcceptance } from "./charts/speed-by-acceptance.ts";
import { stepCostChart } from "./charts/step-cost.ts";
import { shortConditions } from "./conditions.ts";
import { decodingGroups } from "./data-decoding.ts";
import type { ResultFile } from "./result-file.ts";

/** The charts a file has data for, the ones that say most first. */
export function chartsOf(file: ResultFile): Chart[] {
  const conditions = shortConditions(file);
  const charts = [
    ...decodingGroups(file).flatMap((group) => [...speedByAcceptance(group), ...ratesChart(group)]),
    ...stepCosts(file),
  ];
  return charts.map((chart) => ({ ...chart, caption: `${chart.caption} ${conditions}.` }));
}

function stepCosts(file: ResultFile): Chart[] {
  if (file.kind !== "decode") return [];
  const { stepCosts: costs, settings } = file.results;
  return stepCostChart(
    "step-cost",
    costs.map(({ heads, steps }) => ({ name: heads, points: steps })),
    {
      title: "What a step costs by the nodes of its tree",
      what: "ms of a step",
      conditions: `Draft and verification of one step, ${settings.model} on ${settings.device}`,
    },
  );
}
