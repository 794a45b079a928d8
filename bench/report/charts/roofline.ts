import type { SeriesOption } from "echarts";
import {
  axisStyle,
  baseOption,
  type Chart,
  gridOf,
  legend,
  logBounds,
  nameAbove,
  nameBelow,
  suffixed,
  tip,
} from "../chart.ts";
import {
  type Ceilings,
  ceilingsOf,
  type KernelGroup,
  type RooflinePoint,
  rooflinePoints,
} from "../data-kernels.ts";
import { formatNumber, formatRate, formatTick } from "../format.ts";
import { coloursOf, type Palette } from "../palette.ts";

/**
 * Kernels by their intensity and the rate they reach, under the device's ceilings (Williams,
 * Waterman, Patterson 2009): on the slope memory is the limit, on the flat part arithmetic.
 */
export function rooflineChart({ name, shape, device, entries }: KernelGroup): Chart[] {
  const points = rooflinePoints(entries);
  if (points.length < 2) return [];
  const ceilings = ceilingsOf(device, points);
  const families = [...new Set(points.map(({ family }) => family))];
  const [left, right] = logBounds(
    Math.min(...points.map(({ intensity }) => intensity)),
    Math.max(...points.map(({ intensity }) => intensity), (2 * ceilings.rate) / ceilings.bandwidth),
  );
  const [low, high] = logBounds(
    Math.min(...points.map(({ leastRate }) => leastRate)),
    ceilings.rate * 1.3,
  );
  return [
    {
      name: suffixed("roofline", name),
      title: `Roofline: kernels of ${shape}`,
      caption:
        "On the slope memory is the limit, on the flat part arithmetic; the nearer to the line, the less is left to win. " +
        `Small marks are few rows, large ones many; medians. ${device.name} (${device.details}).`,
      height: 460,
      option: (palette) => {
        const colour = coloursOf(families, palette);
        const style = axisStyle(palette);
        const minor = {
          minorTick: { show: true },
          minorSplitLine: { show: true, lineStyle: { color: palette.grid, opacity: 0.45 } },
        };
        return {
          ...baseOption(palette),
          legend: legend(palette, families),
          grid: gridOf({ left: 66 }),
          xAxis: {
            type: "log",
            min: left,
            max: right,
            ...style,
            ...minor,
            axisLabel: { ...style.axisLabel, formatter: formatTick },
            ...nameBelow("operations for a byte moved"),
          },
          yAxis: {
            type: "log",
            min: low,
            max: high,
            ...style,
            ...minor,
            axisLabel: { ...style.axisLabel, formatter: formatRate },
            ...nameAbove("operations a second", palette, 66),
          },
          series: [
            roof(ceilings, [left, right], low, palette),
            ...families.map((family): SeriesOption => {
              const own = points.filter((point) => point.family === family);
              return {
                type: "scatter",
                name: family,
                itemStyle: {
                  color: colour(family),
                  opacity: 0.85,
                  borderColor: palette.surface,
                  borderWidth: 1,
                },
                data: own.map((point) => ({
                  value: [point.intensity, point.rate],
                  name: point.name,
                  symbolSize: 7 + 1.5 * Math.log2(point.rows),
                  tooltip: { formatter: () => describe(point, ceilings) },
                  label: {
                    show: true,
                    // Names at the right edge would be cut.
                    position: point.intensity > right / 3 ? "left" : "right",
                    distance: 4,
                    formatter: point.name,
                    color: palette.muted,
                    fontSize: 10,
                  },
                })),
                labelLayout: { hideOverlap: true },
                z: 3,
              };
            }),
          ],
        };
      },
    },
  ];
}

/** Share of what the ceilings allow at a point's intensity. */
export function shareOfRoof({ intensity, rate }: RooflinePoint, ceilings: Ceilings): number {
  return rate / Math.min(ceilings.rate, ceilings.bandwidth * intensity);
}

function describe(point: RooflinePoint, ceilings: Ceilings): string {
  return tip(
    `${point.name}, ${point.rows} rows`,
    `${formatNumber(point.ms)} ms`,
    `${formatRate(point.rate)}FLOP/s (${formatRate(point.leastRate)} to ${formatRate(point.mostRate)})`,
    `${formatRate(point.rate / point.intensity)}B/s`,
    `${formatNumber(point.intensity)} operations for a byte`,
    `${(100 * shareOfRoof(point, ceilings)).toFixed(0)}% of the roof`,
  );
}

function roof(
  { bandwidth, rate, bandwidthSource, rateSource }: Ceilings,
  [left, right]: readonly [number, number],
  low: number,
  palette: Palette,
): SeriesOption {
  const ridge = rate / bandwidth;
  // Where the slope comes out of the floor, or the left side.
  const begin = Math.max(left, low / bandwidth);
  const label = { show: true, color: palette.muted, fontSize: 11 } as const;
  return {
    type: "line",
    silent: true,
    symbol: "none",
    lineStyle: { color: palette.text, width: 1.5 },
    data: [
      {
        value: [begin, bandwidth * begin],
        symbol: "circle",
        symbolSize: 1,
        label: {
          ...label,
          position: [10, 12],
          align: "left",
          formatter: `${formatRate(bandwidth)}B/s, ${bandwidthSource}`,
        },
      },
      [ridge, rate],
      {
        value: [right, rate],
        symbol: "circle",
        symbolSize: 1,
        label: {
          ...label,
          position: [-4, -18],
          align: "right",
          formatter: `${formatRate(rate)}FLOP/s, ${rateSource}`,
        },
      },
    ],
    z: 1,
  };
}
