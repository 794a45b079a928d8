import type { EChartsCoreOption } from "echarts/core";
import type { GpuLimits } from "../../../inspection/inspection.ts";
import { axisStyle, textStyle, tooltipHtml, tooltipStyle } from "../../common/chart-base.ts";
import type { Palette } from "../../common/colors.ts";
import { formatBytes, formatMicroseconds, formatPercent, formatRate } from "../../common/format.ts";
import { type RooflinePoint, roof } from "../../model/roofline.ts";

/** Series 0 has the points in the order given; the ceilings come after it. */
export function rooflineOption(
  points: readonly RooflinePoint[],
  gpu: GpuLimits,
  palette: Palette,
): EChartsCoreOption {
  const intensities = points.map(({ intensity }) => intensity);
  const ridge = gpu.matrixRate / gpu.bandwidth;
  const left = 10 ** Math.floor(Math.log10(Math.min(0.1, ...intensities)));
  const right = 10 ** Math.ceil(Math.log10(Math.max(2 * ridge, ...intensities)));
  const slowest = Math.min(...points.map(({ rate }) => rate), left * gpu.bandwidth);
  const longest = Math.max(...points.map(({ work }) => work.time));
  const ceiling = (
    from: readonly [number, number],
    to: readonly [number, number],
    dashed = false,
  ) => ({
    type: "line",
    data: [from, to],
    symbol: "none",
    silent: true,
    z: 1,
    lineStyle: {
      color: dashed ? palette.dimmed : palette.text,
      width: dashed ? 1.2 : 2,
      type: dashed ? "dashed" : "solid",
    },
  });
  const name = (value: readonly [number, number], text: string, place: "left" | "above") => ({
    value,
    label: {
      show: true,
      formatter: text,
      color: palette.dimmed,
      fontSize: 12,
      ...(place === "left"
        ? { position: "left", distance: 12, offset: [0, -12] }
        : { position: "top", distance: 4, align: "right" }),
    },
  });
  const vectorRidge = gpu.vectorRate / gpu.bandwidth;
  return {
    animation: false,
    textStyle: textStyle(palette),
    grid: { left: 74, right: 24, top: 24, bottom: 46 },
    tooltip: { trigger: "item", ...tooltipStyle(palette) },
    dataZoom: [
      { type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "ctrl" },
      { type: "inside", yAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "ctrl" },
    ],
    xAxis: {
      type: "log",
      min: left,
      max: right,
      name: "operations a byte",
      nameLocation: "middle",
      nameGap: 28,
      ...axisStyle(palette),
    },
    yAxis: {
      type: "log",
      min: 10 ** Math.floor(Math.log10(slowest)),
      max: 3 * gpu.matrixRate,
      ...axisStyle(palette),
      axisLabel: {
        color: palette.dimmed,
        fontSize: 11,
        showMaxLabel: false,
        formatter: (rate: number) => formatRate(rate, "FLOP/s"),
      },
    },
    series: [
      {
        type: "scatter",
        z: 3,
        cursor: "pointer",
        data: points.map(({ work, intensity, rate }) => ({
          value: [intensity, rate],
          symbolSize: 7 + 34 * Math.sqrt(work.time / longest),
          itemStyle: {
            color: palette.family(work.kernel.family),
            opacity: 0.75,
            borderColor: palette.surface,
            borderWidth: 1,
          },
        })),
        emphasis: { scale: 1.15, itemStyle: { opacity: 1 } },
        tooltip: {
          formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
            const point = points[dataIndex];
            return point === undefined ? "" : describe(point);
          },
        },
      },
      ceiling([left, left * gpu.bandwidth], [ridge, roof(ridge, gpu)]),
      ceiling([ridge, gpu.matrixRate], [right, gpu.matrixRate]),
      ceiling([vectorRidge, gpu.vectorRate], [right, gpu.vectorRate], true),
      {
        type: "scatter",
        symbolSize: 0,
        silent: true,
        data: [
          name([2.5, 2.5 * gpu.bandwidth], `memory ${formatRate(gpu.bandwidth, "B/s")}`, "left"),
          name(
            [right, gpu.matrixRate],
            `16-bit matrix products ${formatRate(gpu.matrixRate, "FLOP/s")}`,
            "above",
          ),
          name(
            [right, gpu.vectorRate],
            `f32 outside tensor cores ${formatRate(gpu.vectorRate, "FLOP/s")}`,
            "above",
          ),
        ],
      },
    ],
  };
}

function describe({ work, intensity, rate, ofRoof, measured }: RooflinePoint): string {
  return tooltipHtml(work.kernel.entry, [
    ["launches", `${work.launches}`],
    [measured ? "measured" : "modelled", formatMicroseconds(work.measured ?? work.time)],
    ["bytes", formatBytes(work.bytes)],
    ["operations a byte", intensity.toPrecision(3)],
    ["rate", formatRate(rate, "FLOP/s")],
    ["of the roof", formatPercent(ofRoof)],
  ]);
}
