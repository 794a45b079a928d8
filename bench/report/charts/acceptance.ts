import type { SeriesOption } from "echarts";
import type { MeasuredAcceptance, PromptsResults } from "../../prompts/results.ts";
import {
  axisStyle,
  baseOption,
  type Chart,
  gridOf,
  legend,
  nameAbove,
  nameBelow,
  tip,
} from "../chart.ts";
import { formatPercent } from "../format.ts";
import { coloursOf } from "../palette.ts";

interface Measured {
  readonly name: string;
  readonly acceptance: MeasuredAcceptance;
}

function measuredOf({ methods }: PromptsResults): Measured[] {
  return methods.flatMap(({ name, acceptance }) =>
    acceptance === undefined || acceptance.table.length === 0 ? [] : [{ name, acceptance }],
  );
}

function conditions({ file, model, device, sampling }: PromptsResults): string {
  return `${file}, ${model} on ${device}, ${sampling}`;
}

/** How often the candidate of each rank at each depth is right: what best trees are made from. */
export function acceptanceChart(results: PromptsResults): Chart[] {
  const measured = measuredOf(results);
  if (measured.length === 0) return [];
  const depths = Math.max(...measured.map(({ acceptance }) => acceptance.table.length));
  const ranks = Math.max(...measured.map(({ acceptance }) => acceptance.table[0]?.length ?? 0));
  const cell = 34;
  const block = depths * cell + 62;
  return [
    {
      name: "acceptance",
      title: "Acceptance by depth and rank",
      caption: `How often the candidate of a rank is the token the base model goes on with, given the right prefix. ${conditions(results)}.`,
      height: measured.length * block + 20,
      option: (palette) => {
        const style = axisStyle(palette);
        const most = Math.max(...measured.flatMap(({ acceptance }) => acceptance.table.flat()));
        const labels = (count: number, from: number) =>
          Array.from({ length: count }, (_, i) => String(i + from));
        const plainAxis = {
          ...style,
          axisLine: { show: false },
          axisTick: { show: false },
          splitLine: { show: false },
        };
        return {
          ...baseOption(palette),
          title: measured.map(({ name }, index) => ({
            text: name,
            left: 0,
            top: index * block,
            padding: 0,
            textStyle: { color: palette.text, fontSize: 13, fontWeight: "bold" as const },
          })),
          grid: measured.map((_, index) => ({
            left: 62,
            right: 8,
            top: index * block + 24,
            height: depths * cell,
            outerBoundsMode: "none" as const,
          })),
          xAxis: measured.map((_, index) => ({
            type: "category" as const,
            gridIndex: index,
            data: labels(ranks, 0),
            ...plainAxis,
            axisLabel: { ...style.axisLabel, interval: 0 },
            ...(index === measured.length - 1 ? nameBelow("rank of the candidate") : {}),
          })),
          yAxis: measured.map((_, index) => ({
            type: "category" as const,
            gridIndex: index,
            inverse: true,
            data: labels(depths, 1).map((depth) => `depth ${depth}`),
            ...plainAxis,
          })),
          visualMap: {
            show: false,
            min: 0,
            max: most,
            dimension: 2,
            inRange: { color: [...palette.heat] },
          },
          series: measured.map(
            ({ name, acceptance: { table, trials } }, index): SeriesOption => ({
              type: "heatmap",
              name,
              xAxisIndex: index,
              yAxisIndex: index,
              itemStyle: { borderColor: palette.surface, borderWidth: 2, borderRadius: 4 },
              data: table.flatMap((row, depth) =>
                row.map((share, rank) => ({
                  value: [rank, depth, share],
                  label: {
                    show: true,
                    formatter: formatPercent(share),
                    fontSize: 11,
                    color: textOn(share / most, palette.scheme, palette.text),
                  },
                  tooltip: {
                    formatter: () =>
                      tip(
                        `${name}, depth ${depth + 1}, rank ${rank}`,
                        `${(100 * share).toFixed(2)}% of ${trials[depth] ?? 0} positions`,
                      ),
                  },
                })),
              ),
            }),
          ),
        };
      },
    },
  ];
}

/** Text that can be read on a cell of the heat map, whose dark end differs by scheme. */
function textOn(level: number, scheme: "light" | "dark", text: string): string {
  if (scheme === "light") return level > 0.6 ? "#ffffff" : text;
  return level > 0.85 ? "#0d1117" : text;
}

/** How many drafts of a step are kept: where along the tree drafts die. */
export function survivalChart(results: PromptsResults): Chart[] {
  const measured = measuredOf(results);
  if (measured.length === 0) return [];
  const names = measured.map(({ name }) => name);
  const depths = Math.max(...measured.map(({ acceptance }) => acceptance.survival.length));
  if (depths < 2) return [];
  const trees = [
    ...new Set(results.methods.flatMap(({ nodes, tree }) => (nodes > 0 ? [tree] : []))),
  ];
  return [
    {
      name: "survival",
      title: "How deep drafts are accepted",
      caption: `Share of steps that commit at least so many drafts, with the tree ${trees.join(", ")}. ${conditions(results)}.`,
      height: 320,
      option: (palette) => {
        const colour = coloursOf(names, palette);
        const style = axisStyle(palette);
        return {
          ...baseOption(palette),
          legend: legend(palette, names),
          grid: gridOf({ right: 70 }),
          xAxis: {
            type: "category",
            boundaryGap: true,
            data: Array.from({ length: depths }, (_, depth) => String(depth + 1)),
            ...style,
            splitLine: { show: false },
            ...nameBelow("drafts accepted, at least"),
          },
          yAxis: {
            type: "value",
            min: 0,
            max: 1,
            ...style,
            axisLabel: { ...style.axisLabel, formatter: formatPercent },
            ...nameAbove("share of steps", palette),
          },
          series: measured.map(
            ({ name, acceptance: { survival } }): SeriesOption => ({
              type: "line",
              name,
              symbol: "circle",
              symbolSize: 7,
              lineStyle: { color: colour(name), width: 2 },
              itemStyle: { color: colour(name) },
              data: survival.map((share, depth) => ({
                value: [depth, share],
                tooltip: {
                  formatter: () =>
                    tip(
                      name,
                      `${formatPercent(share)} of steps commit ${depth + 1} drafts or more`,
                    ),
                },
              })),
              endLabel: {
                show: true,
                formatter: formatPercent(survival.at(-1) ?? Number.NaN),
                color: colour(name),
              },
              labelLayout: { moveOverlap: "shiftY" },
            }),
          ),
        };
      },
    },
  ];
}
