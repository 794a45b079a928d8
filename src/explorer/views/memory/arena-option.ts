import type { CustomSeriesRenderItem } from "echarts";
import type { EChartsCoreOption } from "echarts/core";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import { axisStyle, textStyle, tooltipHtml, tooltipStyle } from "../../common/chart-base.ts";
import type { Palette } from "../../common/colors.ts";
import { formatBytes, formatCount } from "../../common/format.ts";
import type { ArenaBlock } from "../../model/arena.ts";

/** Launches from left to right, bytes of the arena from bottom to top, a rectangle per buffer. */
export function arenaOption(
  blocks: readonly ArenaBlock[],
  { memory, launches }: ProgramOutline,
  palette: Palette,
): EChartsCoreOption {
  const zoom = { filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false };
  return {
    animation: false,
    textStyle: textStyle(palette),
    grid: { left: 74, right: 20, top: 10, bottom: 42 },
    tooltip: { trigger: "item", ...tooltipStyle(palette) },
    dataZoom: [
      { type: "inside", xAxisIndex: 0, ...zoom },
      { type: "inside", yAxisIndex: 0, ...zoom },
    ],
    xAxis: {
      type: "value",
      min: 0,
      max: launches.length,
      name: "launch",
      nameLocation: "middle",
      nameGap: 26,
      ...axisStyle(palette),
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      min: 0,
      max: memory.arena,
      ...axisStyle(palette),
      axisLabel: {
        color: palette.dimmed,
        fontSize: 11,
        showMaxLabel: false,
        formatter: (value: number) => formatBytes(value),
      },
    },
    series: [
      {
        type: "custom",
        clip: true,
        encode: { x: [0, 1], y: [2, 3] },
        data: blocks.map(({ buffer: { live, bytes }, offset }) => [
          live[0],
          live[1] + 1,
          offset,
          offset + bytes,
        ]),
        renderItem: renderer(blocks, palette),
        tooltip: {
          formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
            const block = blocks[dataIndex];
            return block === undefined ? "" : describe(block);
          },
        },
      },
    ],
  };
}

function renderer(blocks: readonly ArenaBlock[], palette: Palette): CustomSeriesRenderItem {
  return ({ dataIndex }, api) => {
    const block = blocks[dataIndex];
    if (block === undefined) return null;
    const { live, bytes, label } = block.buffer;
    const [left = 0, bottom = 0] = api.coord([live[0], block.offset]);
    const [right = 0, top = 0] = api.coord([live[1] + 1, block.offset + bytes]);
    const width = Math.max(1, right - left);
    const height = Math.max(1, bottom - top);
    return {
      type: "rect",
      shape: { x: left, y: top, width, height },
      style: {
        fill: palette.family(block.family),
        opacity: 0.75,
        ...(width > 3 && height > 3 && { stroke: palette.surface, lineWidth: 0.8 }),
      },
      emphasis: { style: { opacity: 1 } },
      ...(width > 70 &&
        height > 14 && {
          textContent: {
            type: "text",
            style: {
              text: label,
              fill: "#ffffff",
              fontSize: 11,
              overflow: "truncate",
              width: width - 8,
            },
          },
          textConfig: { position: "insideLeft" },
        }),
    };
  };
}

function describe({ buffer, offset, family }: ArenaBlock): string {
  const { label, type, bytes, live } = buffer;
  return tooltipHtml(label, [
    ["type", type],
    ["bytes", formatBytes(bytes)],
    ["offset", formatCount(offset)],
    ["launches", `${live[0]} to ${live[1]}`],
    ["written by", family],
  ]);
}
