import type { SeriesOption } from "echarts";
import {
  baseOption,
  categoryAxis,
  type Chart,
  gridOf,
  labelWidth,
  legend,
  nameBelow,
  suffixed,
  tip,
  valueAxis,
} from "../chart.ts";
import type { Bar } from "../data-breakdown.ts";
import { formatNumber, formatPercent } from "../format.ts";
import { coloursOf } from "../palette.ts";

export interface BreakdownTexts {
  readonly name: string;
  readonly group: string;
  readonly title: string;
  readonly caption: string;
  readonly unit: string;
  /** Bars of the same length, for totals too far apart to be drawn on one scale. */
  readonly shares?: boolean;
}

/** Bars made of their parts, the parts that are largest over all bars first. */
export function breakdownChart(bars: readonly Bar[], texts: BreakdownTexts): Chart[] {
  if (bars.length === 0) return [];
  const { unit, shares = false } = texts;
  const parts = partsBySize(bars);
  return [
    {
      name: suffixed(texts.name, texts.group),
      title: texts.title,
      caption: texts.caption,
      height: 92 + 27 * bars.length,
      option: (palette) => {
        const colour = coloursOf(parts, palette);
        const axis = valueAxis(palette, shares ? [1] : bars.map(({ total }) => total), Infinity);
        const names = bars.map(({ name }) => name);
        return {
          ...baseOption(palette),
          legend: legend(palette, parts),
          grid: gridOf({ left: labelWidth(names), right: 78, top: 34 }),
          xAxis: {
            ...axis,
            ...(shares
              ? { max: 1, axisLabel: { ...axis.axisLabel, formatter: formatPercent } }
              : {}),
            ...nameBelow(shares ? `share of ${unit}` : unit),
          },
          yAxis: [
            { ...categoryAxis(palette, names), splitLine: { show: false } },
            {
              ...categoryAxis(
                palette,
                bars.map(({ total }) => formatNumber(total)),
              ),
              position: "right",
              axisLine: { show: false },
              splitLine: { show: false },
            },
          ],
          series: parts.map(
            (part): SeriesOption => ({
              type: "bar",
              name: part,
              stack: "all",
              barWidth: 16,
              itemStyle: {
                color: colour(part),
                borderColor: palette.surface,
                borderWidth: 0.5,
              },
              data: bars.map(({ name, total, parts: own }) => {
                const value = own.find((one) => one.name === part)?.value ?? 0;
                return {
                  value: shares ? value / total : value,
                  tooltip: {
                    formatter: () =>
                      tip(
                        name,
                        `${part}: ${formatNumber(value)} ${unit}`,
                        `${formatPercent(value / total)} of ${formatNumber(total)} ${unit}`,
                      ),
                  },
                };
              }),
            }),
          ),
        };
      },
    },
  ];
}

function partsBySize(bars: readonly Bar[]): string[] {
  const sums = new Map<string, number>();
  for (const { parts, total } of bars)
    for (const { name, value } of parts) sums.set(name, (sums.get(name) ?? 0) + value / total);
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
}
