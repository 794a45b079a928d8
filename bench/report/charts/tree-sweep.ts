import type {
  GridComponentOption,
  SeriesOption,
  XAXisComponentOption,
  YAXisComponentOption,
} from "echarts";
import type { Spread } from "../../decode/statistics.ts";
import type { MethodResults, PromptsResults, SweepPoint } from "../../prompts/results.ts";
import {
  axisStyle,
  baseOption,
  type Chart,
  legend,
  nameAbove,
  numbersWidth,
  rowsAxis,
  tip,
  valueAxis,
} from "../chart.ts";
import { formatNumber, formatSpread } from "../format.ts";
import { whiskers } from "../marks.ts";
import { coloursOf, type Palette } from "../palette.ts";

interface Point {
  readonly nodes: number;
  readonly value: number;
  readonly spread?: Spread | undefined;
}

interface Line {
  readonly method: string;
  readonly points: readonly Point[];
  readonly dashed?: boolean;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  /** A level to compare with. */
  readonly level?: number | undefined;
}

const panelHeight = 190;
const panelGap = 56;

/** What a larger tree wins in tokens, what it costs in time, and what comes of both. */
export function treeSweepChart(results: PromptsResults): Chart[] {
  const methods = results.methods.filter(({ sweep }) => (sweep?.length ?? 0) > 1);
  if (methods.length === 0) return [];
  const panels = panelsOf(results, methods).filter(({ lines }) =>
    lines.some(({ points }) => points.length > 0),
  );
  const names = methods.map(({ name }) => name);
  return [
    {
      name: "tree-sweep",
      title: "How large a tree should be",
      caption:
        `The best static tree of every size for the measured acceptance. Dashed: predicted by the table of acceptances; dots: replayed or measured. ` +
        `${results.file}, ${results.turns} turns of at most ${results.newTokens} tokens, ${results.sampling}, ${results.model} on ${results.device}.`,
      height: 30 + panels.length * (panelHeight + panelGap),
      option: (palette) => {
        const drawn = panels.map((panel, index) =>
          drawPanel(panel, index, methods, names, palette, index === panels.length - 1),
        );
        return {
          ...baseOption(palette),
          legend: legend(palette, names),
          grid: drawn.map(({ grid }) => grid),
          xAxis: drawn.map(({ xAxis }) => xAxis),
          yAxis: drawn.map(({ yAxis }) => yAxis),
          series: drawn.flatMap(({ series }) => series),
        };
      },
    },
  ];
}

function panelsOf({ methods: all }: PromptsResults, methods: readonly MethodResults[]): Panel[] {
  const plain = all.find(({ nodes }) => nodes === 0)?.overall.tokensPerSecond.median;
  const line = (
    of: (point: SweepPoint) => number | undefined,
    spreadOf: (point: SweepPoint) => Spread | undefined = () => undefined,
    dashed = false,
  ): Line[] =>
    methods.map(({ name, sweep = [] }) => ({
      method: name,
      dashed,
      points: sweep.flatMap((point) => {
        const value = of(point);
        return value === undefined || point.nodes < 1
          ? []
          : [{ nodes: point.nodes, value, spread: spreadOf(point) }];
      }),
    }));
  return [
    {
      title: "tokens per step",
      unit: "tokens per step",
      lines: [
        ...line(({ expected }) => expected, undefined, true),
        ...line(({ tokensPerStep }) => tokensPerStep),
      ],
    },
    {
      title: "ms of a step",
      unit: "ms",
      lines: line(
        ({ stepMs }) => stepMs?.median,
        ({ stepMs }) => stepMs,
      ),
    },
    {
      title: "tokens per second that come of it",
      unit: "tokens/s",
      level: plain,
      lines: line(({ tokensPerStep, expected, stepMs }) =>
        stepMs === undefined ? undefined : (1000 * (tokensPerStep ?? expected)) / stepMs.median,
      ),
    },
  ];
}

interface Drawn {
  readonly grid: GridComponentOption;
  readonly xAxis: XAXisComponentOption;
  readonly yAxis: YAXisComponentOption;
  readonly series: readonly SeriesOption[];
}

function drawPanel(
  { title, unit, lines, level }: Panel,
  index: number,
  methods: readonly MethodResults[],
  names: readonly string[],
  palette: Palette,
  isLast: boolean,
): Drawn {
  const colour = coloursOf(names, palette);
  const sizes = [...new Set(methods.flatMap(({ sweep = [] }) => sweep.map(({ nodes }) => nodes)))]
    .filter((nodes) => nodes >= 1)
    .sort((a, b) => a - b);
  const values = lines.flatMap(({ points }) =>
    points.flatMap(({ value, spread }) => [value, ...(spread ? [spread.min, spread.max] : [])]),
  );
  const axis = valueAxis(palette, level === undefined ? values : [...values, level]);
  const top = 62 + index * (panelHeight + panelGap);
  const place = { xAxisIndex: index, yAxisIndex: index };
  const xAxis = rowsAxis(palette, sizes, isLast ? "drafted nodes of the tree" : "");
  return {
    grid: {
      top,
      height: panelHeight - 20,
      left: numbersWidth,
      right: 70,
      outerBoundsMode: "none",
    },
    xAxis: { ...xAxis, gridIndex: index },
    yAxis: {
      ...axis,
      splitNumber: 4,
      gridIndex: index,
      ...axisStyle(palette),
      axisLabel: axis.axisLabel,
      ...nameAbove(title, palette),
    },
    series: [
      ...(level === undefined ? [] : [levelLine(level, place, sizes, palette)]),
      ...lines.flatMap(({ method, points, dashed }): SeriesOption[] => [
        {
          type: "line",
          name: method,
          ...place,
          symbol: dashed ? "none" : "circle",
          symbolSize: 7,
          lineStyle: {
            color: colour(method),
            width: dashed ? 1.5 : 2,
            type: dashed ? "dashed" : "solid",
          },
          itemStyle: { opacity: 1, color: colour(method) },
          data: points.map(({ nodes, value, spread }) => ({
            value: [Math.log2(nodes), value],
            tooltip: {
              formatter: () =>
                tip(
                  method,
                  `${nodes} nodes: ${spread === undefined ? formatNumber(value) : formatSpread(spread)} ${unit}`,
                ),
            },
          })),
          z: 3,
        },
        whiskers(
          points.flatMap(({ nodes, spread }) =>
            spread === undefined ? [] : [{ at: Math.log2(nodes), spread }],
          ),
          { along: "y", colour: colour(method), name: method, axisIndex: index },
        ),
      ]),
    ],
  };
}

function levelLine(
  level: number,
  place: { readonly xAxisIndex: number; readonly yAxisIndex: number },
  sizes: readonly number[],
  palette: Palette,
): SeriesOption {
  const ends = [Math.min(...sizes), Math.max(...sizes)];
  return {
    type: "line",
    silent: true,
    symbol: "none",
    ...place,
    data: ends.map((nodes, end) => [Math.log2(nodes) + (end === 0 ? -0.25 : 0.25), level]),
    lineStyle: { color: palette.muted, width: 1.5, type: "dotted" },
    endLabel: { show: true, formatter: "plain", color: palette.muted, fontSize: 11 },
  };
}
