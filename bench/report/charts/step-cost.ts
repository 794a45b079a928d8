import type { SeriesOption } from "echarts";
import type { Spread } from "../../decode/statistics.ts";
import {
  nameAbove,
  gridOf,
  baseOption,
  type Chart,
  legend,
  tip,
  valueAxis,
  rowsAxis,
} from "../chart.ts";
import { coloursOf } from "../palette.ts";
import { formatNumber, formatSpread } from "../format.ts";
import { whiskers } from "../marks.ts";

/** What something costs by the rows that go through at once. */
export interface CostLine {
  readonly name: string;
  readonly points: readonly { readonly rows: number; readonly ms: Spread }[];
}

/**
 * Lines over rows at equal distances (1, 2, 4, …): flat is what speculation hopes for, as its rows
 * are then free.
 */
export function stepCostChart(
  name: string,
  lines: readonly CostLine[],
  { title, what, conditions }: { title: string; what: string; conditions: string },
): Chart[] {
  const rows = [...new Set(lines.flatMap(({ points }) => points.map((point) => point.rows)))].sort(
    (a, b) => a - b,
  );
  if (rows.length < 2) return [];
  const names = lines.map(({ name }) => name);
  return [
    {
      name,
      title,
      caption: `Median and range; beside each line, its last point as a multiple of its first. ${conditions}.`,
      height: 360,
      option: (palette) => {
        const colour = coloursOf(names, palette);
        const axis = valueAxis(
          palette,
          lines.flatMap(({ points }) => points.map(({ ms }) => ms.median)),
          6,
        );
        return {
          ...baseOption(palette),
          legend: legend(palette, names),
          grid: gridOf({ right: 70 }),
          xAxis: rowsAxis(palette, rows),
          yAxis: { ...axis, ...nameAbove(what, palette) },
          series: lines.flatMap((line, index): SeriesOption[] => {
            const first = line.points[0];
            const last = line.points.at(-1);
            const times =
              first === undefined || last === undefined ? 0 : last.ms.median / first.ms.median;
            // Lines that lie on each other stay apart in their whiskers.
            const shift = (index - (lines.length - 1) / 2) * 0.06;
            return [
              whiskers(
                line.points.map(({ rows: count, ms }) => ({
                  at: Math.log2(count) + shift,
                  spread: ms,
                })),
                { along: "y", colour: colour(line.name), name: line.name },
              ),
              {
                type: "line",
                name: line.name,
                symbol: "circle",
                symbolSize: 7,
                lineStyle: { color: colour(line.name), width: 2 },
                itemStyle: { color: colour(line.name) },
                data: line.points.map(({ rows: count, ms }) => ({
                  value: [Math.log2(count) + shift, ms.median],
                  tooltip: {
                    formatter: () => tip(line.name, `${count} rows: ${formatSpread(ms)} ms`),
                  },
                })),
                endLabel: {
                  show: true,
                  formatter: `× ${formatNumber(times)}`,
                  color: colour(line.name),
                  fontSize: 12,
                },
                labelLayout: { moveOverlap: "shiftY" },
                z: 3,
              },
            ];
          }),
        };
      },
    },
  ];
}
