import type { SeriesOption } from "echarts";
import {
  nameBelow,
  suffixed,
  gridOf,
  labelWidth,
  categoryAxis,
  baseOption,
  type Chart,
  legend,
  tip,
  valueAxis,
} from "../chart.ts";
import { coloursOf } from "../palette.ts";
import type { DecodingGroup } from "../data-decoding.ts";
import { formatNumber, formatSpread } from "../format.ts";
import { whiskers } from "../marks.ts";

/** Tokens per second of every way of decoding: median, least to greatest round. */
export function ratesChart({ name, conditions, rows }: DecodingGroup): Chart[] {
  if (rows.length < 2) return [];
  const methods = [...new Set(rows.map(({ method }) => method))];
  return [
    {
      name: suffixed("rates", name),
      title: "Decoding speed",
      caption: `Median and range of the rounds. ${conditions}.`,
      height: 80 + 25 * rows.length,
      option: (palette) => {
        const colour = coloursOf(methods, palette);
        const left = labelWidth(rows.map((row) => row.name));
        const axis = valueAxis(
          palette,
          rows.flatMap(({ tokensPerSecond: { min, max } }) => [min, max]),
        );
        return {
          ...baseOption(palette),
          legend: legend(palette, methods),
          grid: gridOf({ left, right: 64, top: 30 }),
          xAxis: { ...axis, ...nameBelow("tokens per second") },
          yAxis: [
            categoryAxis(
              palette,
              rows.map((row) => row.name),
            ),
            {
              ...categoryAxis(
                palette,
                rows.map(({ tokensPerSecond }) => formatNumber(tokensPerSecond.median)),
              ),
              position: "right",
              axisLine: { show: false },
              splitLine: { show: false },
            },
          ],
          series: methods.flatMap((method): SeriesOption[] => {
            const own = rows.flatMap((row, at) => (row.method === method ? [{ ...row, at }] : []));
            return [
              whiskers(
                own.map(({ at, tokensPerSecond }) => ({ at, spread: tokensPerSecond })),
                { along: "x", colour: colour(method), name: method },
              ),
              {
                type: "scatter",
                name: method,
                symbolSize: 9,
                itemStyle: { opacity: 1, color: colour(method) },
                data: own.map(({ at, name: label, tokensPerSecond }) => ({
                  value: [tokensPerSecond.median, at],
                  name: label,
                  tooltip: {
                    formatter: () => tip(label, `${formatSpread(tokensPerSecond)} tokens/s`),
                  },
                })),
                z: 3,
              },
            ];
          }),
        };
      },
    },
  ];
}
