import { Paper, Text, Title, useComputedColorScheme } from "@mantine/core";
import { type EChartsType, init } from "echarts/core";
import { useEffect, useRef } from "react";
import type { Chart } from "../chart.ts";
import { darkPalette, lightPalette } from "../palette.ts";
import classes from "./page.module.css";

/** A chart with its title and conditions, as wide as the page lets it be. */
export function ChartCard({ chart, id }: { chart: Chart; id: string }) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<EChartsType>(undefined);
  const palette = useComputedColorScheme("light") === "dark" ? darkPalette : lightPalette;
  useEffect(() => {
    if (place.current === null) return;
    const own = init(place.current, null, { renderer: "svg" });
    drawn.current = own;
    const observer = new ResizeObserver(() => own.resize());
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      own.dispose();
    };
  }, []);
  useEffect(() => {
    drawn.current?.setOption(chart.option(palette), { notMerge: true });
  }, [chart, palette]);
  return (
    <Paper withBorder p="lg" component="figure" m={0} id={id} className={classes.target}>
      <Title order={2} size="h4">
        {chart.title}
      </Title>
      <Text component="figcaption" size="sm" c="dimmed" mb="md" maw={860}>
        {chart.caption}
      </Text>
      <div
        ref={place}
        role="img"
        aria-label={`${chart.title}. ${chart.caption}`}
        data-chart={chart.name}
        style={{ height: chart.height, width: "100%" }}
      />
    </Paper>
  );
}
