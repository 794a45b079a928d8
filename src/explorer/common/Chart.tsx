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
  return <div ref={element} role="img" aria-label={label} style={{ height, width: "100%" }} />;
}
