import type { SeriesOption } from "echarts";
import {
  nameBelow,
  suffixed,
  nameAbove,
  gridOf,
  axisStyle,
  baseOption,
  type Chart,
  legend,
  tip,
  valueAxis,
} from "../chart.ts";
import { coloursOf } from "../palette.ts";
import type { DecodingGroup } from "../data-decoding.ts";
import { formatNumber, formatSpread, formatTick } from "../format.ts";
import { whiskers } from "../marks.ts";

/**
 * Tokens per second against tokens per step. On an iso-line a step takes the same time: to the right
 * along it is what better drafts win, down across them is what drafting and larger steps cost.
 */
export function speedByAcceptance({ name, conditions, rows: all }: DecodingGroup): Chart[] {
  const plain = all.find(({ method }) => method === "plain");
  const rows = all.filter(
    (row) => row === plain || (row.policy !== "none" && Number.isFinite(row.tokensPerStep)),
  );
  if (plain === undefined || rows.length < 2) return [];
  const methods = [...new Set(rows.map(({ method }) => method))];
  const most = Math.ceil(Math.max(...rows.map(({ tokensPerStep }) => tokensPerStep)) + 0.4);
  const rates = rows.flatMap(({ tokensPerSecond: { min, max } }) => [min, max]);
  const times = isoTimes(rows);
  return [
    {
      name: suffixed("speed-by-acceptance", name),
      title: "Speed against acceptance",
      caption:
        "Right is better drafting, up is faster; on a dotted line a step takes the same time. " +
        `Round marks: a fixed tree; diamonds: the tree is chosen (auto). ${conditions}.`,
      height: 400,
      option: (palette) => {
        const colour = coloursOf(methods, palette);
        const style = axisStyle(palette);
        const axis = valueAxis(palette, rates, 6);
        const iso: SeriesOption[] = times.map((ms) => ({
          type: "line",
          silent: true,
          symbol: "none",
          lineStyle: { color: palette.axis, width: 1, type: "dotted" },
          data: isoLine(ms, most),
          endLabel: {
            show: (1000 * most) / ms <= axis.max,
            formatter: `${formatTick(ms)} ms/step`,
            color: palette.muted,
            fontSize: 11,
          },
          z: 1,
        }));
        return {
          ...baseOption(palette),
          legend: legend(palette, methods),
          grid: gridOf({ right: 92 }),
          xAxis: {
            type: "value",
            min: 0.8,
            max: most,
            ...style,
            ...nameBelow("tokens per step"),
            axisLabel: { ...style.axisLabel, showMinLabel: false },
            splitLine: { show: false },
          },
          yAxis: { ...axis, ...nameAbove("tokens per second", palette) },
          series: [
            ...iso,
            {
              type: "line",
              silent: true,
              symbol: "none",
              data: [
                [0.8, plain.tokensPerSecond.median],
                [most, plain.tokensPerSecond.median],
              ],
              lineStyle: { color: colour("plain"), width: 1.5 },
              endLabel: { show: true, formatter: "plain", color: colour("plain"), fontSize: 11 },
              z: 1,
            },
            ...methods.flatMap((method): SeriesOption[] => {
              const own = rows.filter((row) => row.method === method);
              return [
                whiskers(
                  own.map(({ tokensPerStep, tokensPerSecond }) => ({
                    at: tokensPerStep,
                    spread: tokensPerSecond,
                  })),
                  { along: "y", colour: colour(method), name: method },
                ),
                {
                  type: "scatter",
                  name: method,
                  symbolSize: 11,
                  itemStyle: {
                    color: colour(method),
                    borderColor: palette.surface,
                    borderWidth: 1,
                  },
                  data: own.map((row) => ({
                    value: [row.tokensPerStep, row.tokensPerSecond.median],
                    name: row.name,
                    symbol: row.policy === "auto" ? "diamond" : "circle",
                    tooltip: {
                      formatter: () =>
                        tip(
                          row.name,
                          `${formatSpread(row.tokensPerSecond)} tokens/s`,
                          `${row.tokensPerStep.toFixed(2)} tokens per step`,
                          `${formatNumber((1000 * row.tokensPerStep) / row.tokensPerSecond.median)} ms per step`,
                        ),
                    },
                  })),
                  z: 3,
                },
              ];
            }),
          ],
        };
      },
    },
  ];
}

/** Step times, in ms, of the 1-2-5 series between the fastest and the slowest of the rows. */
export function isoTimes(
  rows: readonly {
    readonly tokensPerStep: number;
    readonly tokensPerSecond: { readonly median: number };
  }[],
): number[] {
  const times = rows.map(
    ({ tokensPerStep, tokensPerSecond }) => (1000 * tokensPerStep) / tokensPerSecond.median,
  );
  const [least, most] = [Math.min(...times), Math.max(...times)];
  const from = Math.floor(Math.log10(least)) - 1;
  const to = Math.ceil(Math.log10(most)) + 1;
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
    .flatMap((decade) => [decade, 2 * decade, 5 * decade])
    .filter((ms) => ms > least * 0.6 && ms < most * 1.6)
    .map((ms) => Number(ms.toPrecision(1)));
}

function isoLine(ms: number, most: number): number[][] {
  const points = 24;
  return Array.from({ length: points + 1 }, (_, i) => {
    const perStep = 0.8 + ((most - 0.8) * i) / points;
    return [perStep, (1000 * perStep) / ms];
  });
}
