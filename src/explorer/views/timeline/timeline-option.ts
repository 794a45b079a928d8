import type { CustomSeriesRenderItem } from "echarts";
import type { EChartsCoreOption } from "echarts/core";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import { axisStyle, textStyle, tooltipHtml, tooltipStyle } from "../../common/chart-base.ts";
import type { Palette } from "../../common/colors.ts";
import { formatBytes, formatGrid, formatMicroseconds } from "../../common/format.ts";
import { isPhase } from "../../model/phases.ts";
import { bytesOf } from "../../model/step.ts";
import type { Bar, Timeline } from "../../model/timeline.ts";

/** One custom series with the timeline's bars in their order. */
export function timelineOption(
  { lanes, bars, length }: Timeline,
  program: ProgramOutline,
  palette: Palette,
): EChartsCoreOption {
  return {
    animation: false,
    textStyle: textStyle(palette),
    grid: { left: 96, right: 20, top: 8, bottom: 76 },
    tooltip: { trigger: "item", ...tooltipStyle(palette) },
    dataZoom: [
      { type: "inside", filterMode: "weakFilter", zoomOnMouseWheel: "ctrl" },
      {
        type: "slider",
        filterMode: "weakFilter",
        height: 18,
        bottom: 12,
        borderColor: palette.line,
        fillerColor: palette.dark ? "#28c4ab22" : "#07827418",
        handleStyle: { color: palette.accent, borderColor: palette.accent },
        moveHandleStyle: { color: palette.line },
        textStyle: { color: palette.dimmed, fontSize: 11 },
        labelFormatter: (value: number) => formatMicroseconds(value),
        showDataShadow: false,
        brushSelect: false,
      },
    ],
    xAxis: {
      type: "value",
      min: 0,
      max: length,
      ...axisStyle(palette),
      axisLabel: {
        color: palette.dimmed,
        fontSize: 11,
        showMaxLabel: false,
        formatter: (value: number) => (value === 0 ? "0" : formatMicroseconds(value)),
      },
    },
    yAxis: {
      type: "category",
      data: lanes,
      inverse: true,
      ...axisStyle(palette),
      axisTick: { show: false },
      splitLine: { show: true, lineStyle: { color: palette.line, opacity: 0.5 } },
      axisLabel: { color: palette.text, fontSize: 12 },
    },
    series: [
      {
        type: "custom",
        clip: true,
        encode: { x: [1, 2], y: 0 },
        data: bars.map(({ lane, start, end }) => [lane, start, end]),
        renderItem: renderer(bars, palette),
        tooltip: {
          formatter: ({ dataIndex }: { readonly dataIndex: number }) =>
            describe(bars[dataIndex], program),
        },
      },
    ],
  };
}

function renderer(bars: readonly Bar[], palette: Palette): CustomSeriesRenderItem {
  return ({ dataIndex, coordSys }, api) => {
    const bar = bars[dataIndex];
    if (bar === undefined) return null;
    const [left = 0, middle = 0] = api.coord([bar.start, bar.lane]);
    const [right = 0] = api.coord([bar.end, bar.lane]);
    const lane = api.size?.([0, 1]);
    const height = (Array.isArray(lane) ? (lane[1] ?? 20) : 20) * 0.72;
    const [x, end] = clip(left, right, coordSys);
    if (end <= x) return null;
    // A launch is never too short to be seen; a gap tells it from the next.
    const width = Math.max(1, end - x - (end - x > 4 ? 1 : 0));
    const banner = bar.launch === undefined;
    const roomy = width > 54 || (banner && width > 8 + 7 * bar.text.length);
    return {
      type: "rect",
      shape: { x, y: middle - height / 2, width, height, r: width > 6 ? 3 : 0 },
      style: { fill: colorOf(bar, palette) },
      emphasis: { style: { opacity: 0.8 } },
      ...(roomy && {
        textContent: {
          type: "text",
          style: {
            text: bar.text,
            fill: banner && bar.paint.startsWith("layer") ? palette.text : "#ffffff",
            fontSize: 11,
            overflow: "truncate",
            width: width - 8,
          },
        },
        textConfig: { position: banner ? "inside" : "insideLeft" },
      }),
    };
  };
}

function clip(left: number, right: number, area: unknown): [number, number] {
  if (typeof area !== "object" || area === null || !("x" in area) || !("width" in area))
    return [left, right];
  const [start, width] = [Number(area.x), Number(area.width)];
  return [Math.max(left, start), Math.min(right, start + width)];
}

function colorOf({ paint }: Bar, palette: Palette): string {
  const [kind, name = ""] = paint.split(/ (.*)/);
  if (kind === "family") return palette.family(name);
  if (kind === "phase" && isPhase(name)) return palette.phase(name);
  return Number(name) % 2 === 0 ? palette.line : palette.faint;
}

function describe(bar: Bar | undefined, { launches, kernels }: ProgramOutline): string {
  if (bar === undefined) return "";
  const time = formatMicroseconds(bar.end - bar.start);
  const launch = launches[bar.launch ?? -1];
  if (launch === undefined) return tooltipHtml(bar.title ?? bar.text, [["time", time]]);
  return tooltipHtml(launch.label, [
    ["launch", `${bar.launch}`],
    ["kernel", kernels[launch.kernel]?.entry ?? ""],
    ["grid", formatGrid(launch.grid)],
    ["starts at", formatMicroseconds(bar.start)],
    ["modelled", formatMicroseconds(launch.modelled)],
    ...(launch.measured === undefined
      ? []
      : [["measured", formatMicroseconds(launch.measured)] as const]),
    ["bytes", formatBytes(bytesOf(launch))],
  ]);
}
