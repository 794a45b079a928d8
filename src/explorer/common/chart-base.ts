import type { Palette } from "./colors.ts";

/** Text, tooltip and axes of every chart. */
export const textStyle = ({ text }: Palette) => ({
  color: text,
  fontFamily: "inherit",
  fontSize: 12,
});

export const tooltipStyle = ({ surface, line, text }: Palette) => ({
  backgroundColor: surface,
  borderColor: line,
  textStyle: { color: text, fontSize: 12 },
  confine: true,
});

export const axisStyle = ({ dimmed, line }: Palette) => ({
  nameTextStyle: { color: dimmed, fontSize: 12 },
  axisLabel: { color: dimmed, fontSize: 11 },
  axisLine: { lineStyle: { color: line } },
  axisTick: { lineStyle: { color: line } },
  splitLine: { lineStyle: { color: line, opacity: 0.6 } },
  minorSplitLine: { show: false },
});

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** Text in a tooltip, which is HTML. */
export const escapeText = (text: string): string =>
  text.replace(/[&<>]/g, (character) => escapes[character] ?? "");

/** A tooltip: a title and lines of name and value. */
export function tooltipHtml(
  title: string,
  rows: readonly (readonly [name: string, value: string])[],
): string {
  const lines = rows.map(
    ([name, value]) =>
      `<div style="display:flex;justify-content:space-between;gap:16px"><span style="opacity:.7">${escapeText(name)}</span><b>${escapeText(value)}</b></div>`,
  );
  return `<div style="max-width:420px;white-space:normal;overflow-wrap:anywhere"><b>${escapeText(title)}</b></div>${lines.join("")}`;
}
