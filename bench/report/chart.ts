import type { EChartsOption, LegendComponentOption, YAXisComponentOption } from "echarts";
import { formatTick } from "./format.ts";
import type { Palette } from "./palette.ts";

/** A picture of one thing in a results file, for the page and for SVG files alike. */
export interface Chart {
  /** Unique among the charts of a file; part of file names. */
  readonly name: string;
  readonly title: string;
  /** What the marks are, and what they were measured with. */
  readonly caption: string;
  /** Pixels. */
  readonly height: number;
  readonly option: (palette: Palette) => EChartsOption;
}

/** In single quotes: it stands in attributes. */
export const fontFamily =
  "system-ui,-apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,'DejaVu Sans',sans-serif";

/** What all charts share. Nothing moves: a picture of figures has no reason to. */
export function baseOption(palette: Palette): EChartsOption {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily, fontSize: 12, color: palette.text },
    tooltip: {
      trigger: "item",
      confine: true,
      backgroundColor: palette.surface,
      borderColor: palette.axis,
      textStyle: { color: palette.text, fontSize: 12, fontFamily },
    },
  };
}

export function legend(palette: Palette, names: readonly string[]): LegendComponentOption {
  return {
    data: [...names],
    top: 0,
    left: 0,
    icon: "circle",
    itemWidth: 9,
    itemHeight: 9,
    itemGap: 18,
    textStyle: { color: palette.text, fontSize: 12 },
    inactiveColor: palette.axis,
  };
}

export function axisStyle(palette: Palette) {
  return {
    nameTextStyle: { color: palette.muted, fontSize: 12 },
    axisLabel: { color: palette.muted, fontSize: 12 },
    axisLine: { onZero: false, lineStyle: { color: palette.axis } },
    axisTick: { lineStyle: { color: palette.axis } },
    splitLine: { lineStyle: { color: palette.grid } },
  };
}

/** A name under a horizontal axis. */
export function nameBelow(name: string) {
  return { name, nameLocation: "middle", nameGap: 30 } as const;
}

/** Room for the numbers beside a vertical axis. */
export const numbersWidth = 52;

/** A name over a vertical axis, as people read. */
export function nameAbove(
  name: string,
  palette: Palette,
  left = numbersWidth,
): Pick<YAXisComponentOption, "name" | "nameLocation" | "nameGap" | "nameTextStyle"> {
  return {
    name,
    nameLocation: "end",
    nameGap: 14,
    nameTextStyle: {
      color: palette.muted,
      fontSize: 12,
      align: "left",
      padding: [0, 0, 0, -left],
    },
  };
}

/** Space around the axes; `left` for the labels of a vertical one. Below there is a named axis. */
export function gridOf({ left = numbersWidth, right = 16, top = 64, bottom = 46 } = {}) {
  return { left, right, top, bottom, outerBoundsMode: "none" } as const;
}

/** Pixels that the longest of these labels takes, in the widest of the usual fonts. */
export function labelWidth(labels: readonly string[]): number {
  return 14 + 7 * Math.max(0, ...labels.map((label) => label.length));
}

/** An axis over positive values: logarithmic where they span more than `spans`, else from 0. */
export function valueAxis(palette: Palette, values: readonly number[], spans = 8) {
  const positive = values.filter((value) => Number.isFinite(value) && value > 0);
  const least = Math.min(...positive);
  const most = Math.max(...positive);
  const style = axisStyle(palette);
  if (positive.length === 0 || most / least <= spans)
    return {
      type: "value",
      min: 0,
      max: niceMax(most),
      ...style,
      axisLabel: { ...style.axisLabel, formatter: formatTick },
    } as const;
  const [min, max] = logBounds(least, most);
  return {
    type: "log",
    min,
    max,
    ...style,
    axisLabel: { ...style.axisLabel, formatter: formatTick },
    minorTick: { show: true },
    minorSplitLine: { show: true, lineStyle: { color: palette.grid, opacity: 0.45 } },
  } as const;
}

/** An axis of the logarithm of row counts (base 2), labelled with the counts. */
export function rowsAxis(palette: Palette, rows: readonly number[], name = "rows at once") {
  const style = axisStyle(palette);
  return {
    type: "value",
    min: Math.log2(Math.min(...rows)) - 0.25,
    max: Math.log2(Math.max(...rows)) + 0.25,
    ...style,
    ...nameBelow(name),
    axisTick: { show: false, customValues: rows.map(Math.log2) },
    axisLabel: {
      ...style.axisLabel,
      customValues: rows.map(Math.log2),
      formatter: (value: number) => String(Math.round(2 ** value)),
    },
    splitLine: { show: false },
  } as const;
}

/** Names from top to bottom. */
export function categoryAxis(palette: Palette, names: readonly string[]) {
  return {
    type: "category" as const,
    inverse: true,
    data: [...names],
    ...axisStyle(palette),
    axisLabel: { color: palette.text, fontSize: 12, interval: 0 },
    axisTick: { show: false },
    splitLine: { show: true, lineStyle: { color: palette.grid } },
  };
}

/** As `categoryAxis`, of row numbers: marks of one row may lie a little apart. */
export function namesAxis(palette: Palette, names: readonly string[]) {
  const style = axisStyle(palette);
  const at = names.map((_, index) => index);
  return {
    type: "value" as const,
    inverse: true,
    min: -0.5,
    max: names.length - 0.5,
    ...style,
    axisTick: { show: false },
    axisLabel: {
      color: palette.text,
      fontSize: 12,
      customValues: at,
      formatter: (value: number) => names[Math.round(value)] ?? "",
    },
    splitLine: { show: false },
  };
}

/** The next round number: 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 or 10 times a power of ten. */
function niceMax(most: number): number {
  if (!(most > 0 && Number.isFinite(most))) return 1;
  const decade = 10 ** Math.floor(Math.log10(most));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8].find((times) => times * decade >= most * 1.02);
  return Number(((step ?? 10) * decade).toPrecision(2));
}

/** The nearest of 1, 2, 5 times powers of ten below and above two positive values. */
export function logBounds(least: number, most: number): readonly [number, number] {
  const nudge = 1e-9;
  const below = 10 ** Math.floor(Math.log10(least) + nudge);
  const above = 10 ** Math.floor(Math.log10(most) - nudge);
  const from = [5, 2, 1].find((times) => times * below <= least * (1 + nudge)) ?? 1;
  const to = [1, 2, 5].find((times) => times * above >= most * (1 - nudge)) ?? 10;
  return [Number((from * below).toPrecision(1)), Number((to * above).toPrecision(1))];
}

/** Text of a tooltip: names come from files, so nothing of them is markup. */
export function tip(head: string, ...lines: readonly string[]): string {
  return [`<b>${escapeMarkup(head)}</b>`, ...lines.map(escapeMarkup)].join("<br>");
}

export function escapeMarkup(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}

/** The name of a chart there may be several of in a file. */
export function suffixed(chart: string, group: string): string {
  return group === "" ? chart : `${chart}-${group.replace(/[^a-z0-9.+]+/gi, "-")}`;
}
