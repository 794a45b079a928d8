import type { SeriesOption } from "echarts";
import type { Spread } from "../../decode/statistics.ts";
import {
  baseOption,
  type Chart,
  gridOf,
  labelWidth,
  legend,
  nameAbove,
  rowsAxis,
  suffixed,
  tip,
  valueAxis,
} from "../chart.ts";
import { formatSpread } from "../format.ts";
import { whiskers } from "../marks.ts";
import { coloursOf } from "../palette.ts";

/** What something costs by the rows that go through at once. */
export interface CostLine {
  readonly name: string;
  /** By rising rows. */
  readonly points: readonly { readonly rows: number; readonly ms: Spread }[];
}

export interface CostTexts {
  readonly name: string;
  readonly group: string;
  readonly title: string;
  readonly caption: string;
  /** Over the axis of times. */
  readonly what: string;
}

/** Beyond this many a legend is no help: lines are named at their ends. */
const mostInLegend = 6;

/**
 * Time over rows at equal distances (1, 2, 4, …): flat is what speculation hopes for, as its rows are
 * then free.
 */
export function costChart(lines: readonly CostLine[], texts: CostTexts): Chart[] {
  const rows = [...new Set(lines.flatMap(({ points }) => points.map((point) => point.rows)))].sort(
    (a, b) => a - b,
  );
  if (rows.length < 2) return [];
  const names = lines.map(({ name }) => name);
  const few = lines.length <= mostInLegend;
  return [
    {
      name: suffixed(texts.name, texts.group),
      title: texts.title,
      caption: `Median${few ? " and range" : ""}; beside each line, its last point as a multiple of its first. ${texts.caption}`,
      height: few ? 360 : 280 + 14 * lines.length,
      option: (palette) => {
        const colour = coloursOf(names, palette);
        const axis = valueAxis(
          palette,
          lines.flatMap(({ points }) =>
            points.flatMap(({ ms }) => (few ? [ms.min, ms.median, ms.max] : [ms.median])),
          ),
          6,
        );
        const ends = new Map(lines.map((line) => [line.name, endOf(line, few)]));
        return {
          ...baseOption(palette),
          ...(few ? { legend: legend(palette, names) } : {}),
          grid: gridOf({ right: labelWidth([...ends.values()]) + 8, top: few ? 64 : 34 }),
          xAxis: rowsAxis(palette, rows),
          yAxis: { ...axis, ...nameAbove(texts.what, palette) },
          series: lines.flatMap((line, index): SeriesOption[] => {
            // Whiskers of lines that lie on each other stay apart.
            const shift = few ? (index - (lines.length - 1) / 2) * 0.06 : 0;
            return [
              ...(few
                ? [
                    whiskers(
                      line.points.map(({ rows: count, ms }) => ({
                        at: Math.log2(count) + shift,
                        spread: ms,
                      })),
                      { along: "y", colour: colour(line.name), name: line.name },
                    ),
                  ]
                : []),
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
                  distance: few ? 14 : 6,
                  formatter: ends.get(line.name) ?? "",
                  color: colour(line.name),
                  fontSize: few ? 12 : 11,
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

function endOf({ name, points }: CostLine, few: boolean): string {
  const times = (points.at(-1)?.ms.median ?? 0) / (points[0]?.ms.median ?? 1);
  return few ? `× ${times.toFixed(2)}` : `× ${times.toFixed(2)} ${name}`;
}
