import type { EChartsCoreOption } from "echarts/core";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import type { Palette } from "../common/colors.ts";
import { axisStyle, textStyle, tooltipHtml, tooltipStyle } from "../common/chart-base.ts";
import { formatMs } from "./format-ms.ts";
import type { GenerationStatistics } from "./statistics.ts";

/** Steps by how many tokens they committed, parted by what ended them. */
export function lengthOption(
  { lengths, steps }: GenerationStatistics,
  palette: Palette,
): EChartsCoreOption {
  const series = (name: string, values: readonly number[], color: string) => ({
    name,
    type: "bar",
    stack: "steps",
    barMaxWidth: 48,
    itemStyle: { color },
    data: values,
  });
  return {
    ...frame(palette),
    legend: legend(palette),
    tooltip: { ...tooltipStyle(palette), trigger: "axis", axisPointer: { type: "shadow" } },
    xAxis: {
      ...axisStyle(palette),
      type: "category",
      data: lengths.map(({ tokens }) => `${tokens}`),
      name: "tokens",
    },
    yAxis: { ...axisStyle(palette), type: "value", name: "steps", max: niceMax(lengths, steps) },
    series: [
      series(
        "a draft was rejected",
        lengths.map(({ rejected }) => rejected),
        palette.nth(1),
      ),
      series(
        "the tree ended",
        lengths.map(({ exhausted }) => exhausted),
        palette.accent,
      ),
    ],
  };
}

const niceMax = (lengths: GenerationStatistics["lengths"], steps: number): number | undefined =>
  lengths.length === 1 ? steps : undefined;

/** Of the steps that had drafts at a depth, the share that took one, and how many got there. */
export function depthOption(
  { depths, steps }: GenerationStatistics,
  palette: Palette,
): EChartsCoreOption {
  const share = (value: number) => (100 * value) / steps;
  return {
    ...frame(palette),
    legend: legend(palette),
    tooltip: {
      ...tooltipStyle(palette),
      trigger: "axis",
      axisPointer: { type: "shadow" },
      formatter: (points: readonly { dataIndex: number }[]) => {
        const count = depths[points[0]?.dataIndex ?? 0];
        if (count === undefined) return "";
        const { depth, reached, accepted } = count;
        return tooltipHtml(`Depth ${depth}`, [
          ["steps with drafts here", `${reached} of ${steps}`],
          ["took one", `${accepted} (${percent(accepted / reached)})`],
          ["died here", `${reached - accepted}`],
        ]);
      },
    },
    xAxis: {
      ...axisStyle(palette),
      type: "category",
      data: depths.map(({ depth }) => `${depth}`),
      name: "depth",
    },
    yAxis: {
      ...axisStyle(palette),
      type: "value",
      name: "% of steps",
      max: 100,
    },
    series: [
      {
        name: "took a draft",
        type: "bar",
        stack: "steps",
        barMaxWidth: 56,
        itemStyle: { color: palette.accent },
        label: {
          show: depths.length <= 12,
          position: "inside",
          color: palette.dark ? "#101113" : "#ffffff",
          fontWeight: 600,
          formatter: ({ dataIndex }: { dataIndex: number }) => {
            const count = depths[dataIndex];
            if (count === undefined || share(count.accepted) < 7) return "";
            return percent(count.accepted / count.reached);
          },
        },
        data: depths.map(({ accepted }) => share(accepted)),
      },
      {
        name: "died here",
        type: "bar",
        stack: "steps",
        itemStyle: { color: palette.nth(1) },
        data: depths.map(({ reached, accepted }) => share(reached - accepted)),
      },
    ],
  };
}

/** A point per step, a series per tree, in the order of the recording's trees. */
export function stepTimeOption(
  { steps, trees }: RecordedGeneration,
  palette: Palette,
): EChartsCoreOption {
  const slowest = steps.reduce((most, { ms }) => Math.max(most, ms), 0);
  return {
    ...frame(palette),
    animation: false,
    legend: trees.length > 1 ? { ...legend(palette), type: "scroll" } : { show: false },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: "item",
      formatter: ({ data }: { data: readonly [step: number, ms: number] }) => {
        const step = steps[data[0] - 1];
        return tooltipHtml(`Step ${data[0]}`, [
          ["time", formatMs(data[1])],
          ["tokens", `${step?.path.length ?? 0}`],
        ]);
      },
    },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl" }],
    xAxis: {
      ...axisStyle(palette),
      type: "value",
      name: "step",
      min: 1,
      max: Math.max(2, steps.length),
    },
    yAxis: { ...axisStyle(palette), type: "value", name: "ms", max: slowest === 0 ? 1 : undefined },
    series: trees.map(({ name, parents }, tree) => ({
      name: `${name} (${parents.length})`,
      type: "scatter",
      symbolSize: steps.length > 600 ? 3 : 6,
      itemStyle: { color: trees.length === 1 ? palette.accent : palette.nth(tree), opacity: 0.85 },
      data: [...steps.entries()]
        .filter(([, step]) => step.tree === tree)
        .map(([index, { ms }]) => [index + 1, ms]),
    })),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

const frame = (palette: Palette) => ({
  textStyle: textStyle(palette),
  grid: { left: 44, right: 52, top: 34, bottom: 26 },
});

const legend = ({ dimmed }: Palette) => ({
  top: 0,
  right: 0,
  itemWidth: 12,
  itemHeight: 10,
  textStyle: { color: dimmed },
});
