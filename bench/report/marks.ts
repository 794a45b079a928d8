import type { CustomSeriesOption, LineSeriesOption } from "echarts";
import type { Spread } from "../decode/statistics.ts";
import type { Palette } from "./palette.ts";

/** The upright line at 1, where nothing is gained or lost, beside `rows` categories. */
export function lineAtOne(rows: number, palette: Palette): LineSeriesOption {
  return {
    type: "line",
    silent: true,
    symbol: "none",
    data: [
      [1, -0.5],
      [1, rows - 0.5],
    ],
    lineStyle: { color: palette.axis, width: 1.5 },
  };
}

export interface Whisker {
  /** Place on the other axis: a value, or the index of a category. */
  readonly at: number;
  readonly spread: Spread;
}

/**
 * Lines from least to greatest, with caps; `along` is the axis they lie along. They carry no tooltip:
 * the mark in their middle does.
 */
export function whiskers(
  values: readonly Whisker[],
  { along, colour, name, axisIndex = 0 }: WhiskerStyle,
): CustomSeriesOption {
  const cap = 4;
  return {
    type: "custom",
    silent: true,
    clip: true,
    // For the legend: what is drawn has its colour below.
    itemStyle: { color: colour },
    ...(name === undefined ? {} : { name }),
    xAxisIndex: axisIndex,
    yAxisIndex: axisIndex,
    data: values
      .filter(({ spread: { min, max } }) => Number.isFinite(min) && min !== max)
      .map(({ at, spread: { min, max } }) => [at, min, max]),
    // Axes must not stretch for what is drawn by hand.
    encode: along === "x" ? { x: [1, 2], y: 0 } : { x: 0, y: [1, 2] },
    renderItem: (_params, api) => {
      const [at, min, max] = [0, 1, 2].map((dimension) => Number(api.value(dimension)));
      if (at === undefined || min === undefined || max === undefined) return null;
      const [x1 = 0, y1 = 0] = api.coord(along === "x" ? [min, at] : [at, min]);
      const [x2 = 0, y2 = 0] = api.coord(along === "x" ? [max, at] : [at, max]);
      const style = { stroke: colour, lineWidth: 1.5, opacity: 0.7 };
      const [dx, dy] = along === "x" ? [0, cap] : [cap, 0];
      const line = (shape: { x1: number; y1: number; x2: number; y2: number }) => ({
        type: "line" as const,
        shape,
        style,
      });
      return {
        type: "group",
        children: [
          line({ x1, y1, x2, y2 }),
          line({ x1: x1 - dx, y1: y1 - dy, x2: x1 + dx, y2: y1 + dy }),
          line({ x1: x2 - dx, y1: y2 - dy, x2: x2 + dx, y2: y2 + dy }),
        ],
      };
    },
    z: 2,
  };
}

interface WhiskerStyle {
  readonly along: "x" | "y";
  readonly colour: string;
  /** Of the series whose legend entry hides them too. */
  readonly name?: string | undefined;
  /** Index of both axes. */
  readonly axisIndex?: number | undefined;
}
