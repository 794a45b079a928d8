import type { SeriesOption } from "echarts";
import type { CategoryResults, PromptsResults } from "../../prompts/results.ts";
import {
  baseOption,
  type Chart,
  gridOf,
  labelWidth,
  legend,
  nameBelow,
  namesAxis,
  tip,
  valueAxis,
} from "../chart.ts";
import { formatNumber, formatSpread } from "../format.ts";
import { lineAtOne, whiskers } from "../marks.ts";
import { coloursOf } from "../palette.ts";

/** Tokens per step, and speed over plain decoding, by category of prompts. */
export function categoryCharts(results: PromptsResults): Chart[] {
  const methods = results.methods.filter(({ nodes }) => nodes > 0);
  const rows = categoriesOf(results);
  if (methods.length === 0 || rows.length < 2) return [];
  const names = methods.map(({ name }) => name);
  const { file, turns, newTokens, sampling, model, device, rounds } = results;
  const conditions = `${file}, ${turns} turns of at most ${newTokens} tokens, ${sampling}, ${model} on ${device}.`;
  const of = (method: (typeof methods)[number], category: string) =>
    [method.overall, ...method.categories].find((one) => one.category === category);
  const draw = (
    chart: Pick<Chart, "name" | "title" | "caption">,
    axisName: string,
    value: (found: CategoryResults) => number,
    spreadOf?: (found: CategoryResults) => CategoryResults["speedup"],
  ): Chart => ({
    ...chart,
    height: 84 + (spreadOf === undefined ? 26 : 32) * rows.length,
    option: (palette) => {
      const colour = coloursOf(names, palette);
      const points = methods.map((method, index) => ({
        method: method.name,
        at: rows.flatMap((category, row) => {
          const found = of(method, category);
          const shift =
            spreadOf === undefined
              ? 0
              : (index - (methods.length - 1) / 2) * (0.7 / methods.length);
          return found === undefined ? [] : [{ found, category, y: row + shift }];
        }),
      }));
      const values = points.flatMap(({ at }) =>
        at.flatMap(({ found }) => {
          const range = spreadOf?.(found);
          return range === undefined ? [value(found)] : [range.min, range.max];
        }),
      );
      return {
        ...baseOption(palette),
        legend: legend(palette, names),
        grid: gridOf({ left: labelWidth(rows), top: 34 }),
        xAxis: { ...valueAxis(palette, [...values, 1]), ...nameBelow(axisName) },
        yAxis: namesAxis(palette, rows),
        series: [
          lineAtOne(rows.length, palette),
          ...points.flatMap(({ method, at }): SeriesOption[] => [
            ...(spreadOf === undefined
              ? []
              : [
                  whiskers(
                    at.map(({ found, y }) => ({ at: y, spread: spreadOf(found) })),
                    { along: "x", colour: colour(method), name: method },
                  ),
                ]),
            {
              type: "scatter",
              name: method,
              symbolSize: spreadOf === undefined ? 11 : 8,
              itemStyle: {
                opacity: 1,
                color: colour(method),
                borderColor: palette.surface,
                borderWidth: 1,
              },
              data: at.map(({ found, category, y }) => ({
                value: [value(found), y],
                tooltip: {
                  formatter: () =>
                    tip(
                      `${category}: ${method}`,
                      `${formatNumber(found.tokensPerStep)} tokens per step`,
                      `${formatSpread(found.speedup)} times plain decoding`,
                      `${formatSpread(found.tokensPerSecond)} tokens/s`,
                      `${found.turns} turns, ${found.newTokens} tokens`,
                    ),
                },
              })),
              z: 3,
            },
          ]),
        ],
      };
    },
  });
  return [
    draw(
      {
        name: "categories",
        title: "Tokens per step by category",
        caption: `Tokens committed for one pass of the base model; plain decoding is 1. ${conditions}`,
      },
      "tokens per step",
      ({ tokensPerStep }) => tokensPerStep,
    ),
    draw(
      {
        name: "speedup",
        title: "Speed by category",
        caption: `Times plain decoding's rate on the same turns in the same round: median and range of ${rounds} rounds. ${conditions}`,
      },
      "times plain decoding",
      ({ speedup }) => speedup.median,
      ({ speedup }) => speedup,
    ),
  ];
}

/** All of them first, then those with most tokens per step. */
function categoriesOf({ methods }: PromptsResults): string[] {
  const best = new Map<string, number>();
  for (const { categories, nodes } of methods) {
    if (nodes === 0) continue;
    for (const { category, tokensPerStep } of categories)
      best.set(category, Math.max(best.get(category) ?? 0, tokensPerStep));
  }
  const overall = methods[0]?.overall.category ?? "overall";
  return [overall, ...[...best].sort((a, b) => b[1] - a[1]).map(([name]) => name)];
}
