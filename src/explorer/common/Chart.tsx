import { BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapComponent,
} from "echarts/components";
import * as echarts from "echarts/core";
import type { ECElementEvent, EChartsCoreOption } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

echarts.use([
  BarChart,
  CanvasRenderer,
  CustomChart,
  DataZoomComponent,
  GridComponent,
  HeatmapChart,
  LegendComponent,
  LineChart,
  MarkAreaComponent,
  MarkLineComponent,
  ScatterChart,
  TooltipComponent,
  VisualMapComponent,
]);

export interface ChartProps {
  /** Memoised: a new object draws anew. */
  readonly option: EChartsCoreOption;
  readonly height: number | string;
  /** What the chart shows, for who does not see it. */
  readonly label: string;
  /** Of something drawn: index of its series and of its datum. */
  readonly onPick?: ((series: number, datum: number) => void) | undefined;
}

/** An ECharts chart as wide as its place. */
export function Chart({ option, height, label, onPick }: ChartProps) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<echarts.ECharts>(undefined);
  useEffect(() => {
    if (element.current === null) return;
    const own = echarts.init(element.current);
    chart.current = own;
    const observer = new ResizeObserver(() => own.resize());
    observer.observe(element.current);
    return () => {
      observer.disconnect();
      own.dispose();
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(option, { notMerge: true });
  }, [option]);
  useEffect(() => {
    const own = chart.current;
    if (own === undefined || onPick === undefined) return;
    const pick = ({ seriesIndex, dataIndex }: ECElementEvent) =>
      onPick(seriesIndex ?? 0, dataIndex);
    own.on("click", pick);
    return () => {
      if (!own.isDisposed()) own.off("click", pick);
    };
  }, [onPick]);
  if (option.dataZoom === undefined)
    return <div ref={element} role="img" aria-label={label} style={{ height, width: "100%" }} />;
  return (
    <div
      ref={element}
      role="application"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: keys zoom and move
      tabIndex={0}
      onKeyDown={(event) => {
        if (chart.current !== undefined && zoomByKey(chart.current, event.key))
          event.preventDefault();
      }}
      style={{ height, width: "100%" }}
    />
  );
}

/** + and − zoom the x axis about its middle, arrows move it, 0 shows all again. */
function zoomByKey(chart: echarts.ECharts, key: string): boolean {
  const { start, end } = zoomOf(chart.getOption().dataZoom);
  const middle = (start + end) / 2;
  const half = (end - start) / 2;
  const show = (from: number, to: number) => {
    const size = Math.min(100, to - from);
    const left = Math.min(Math.max(0, from), 100 - size);
    chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, start: left, end: left + size });
    return true;
  };
  switch (key) {
    case "+":
    case "=":
      return show(middle - half / 2, middle + half / 2);
    case "-":
      return show(middle - 2 * half, middle + 2 * half);
    case "ArrowLeft":
      return show(start - half / 2, end - half / 2);
    case "ArrowRight":
      return show(start + half / 2, end + half / 2);
    case "0":
      return show(0, 100);
    default:
      return false;
  }
}

function zoomOf(zooms: unknown): { readonly start: number; readonly end: number } {
  const first: unknown = Array.isArray(zooms) ? zooms[0] : undefined;
  if (typeof first !== "object" || first === null || !("start" in first) || !("end" in first))
    return { start: 0, end: 100 };
  return { start: Number(first.start), end: Number(first.end) };
}
