import { use as addParts, init } from "echarts/core";
import { type Chart, escapeMarkup, fontFamily } from "./chart.ts";
import type { Palette } from "./palette.ts";
import { chartParts } from "./chart-parts.ts";

const width = 860;
const padding = 16;
const lineHeight = 17;

/**
 * A chart with its title and caption as one SVG file: no scripts, no fonts of its own, the same bytes
 * for the same chart. The background is transparent: the page it stands on shows through.
 */
export function renderSvg(chart: Chart, palette: Palette): string {
  const caption = wrap(chart.caption, Math.floor((width - 2 * padding) / 6.7));
  const top = padding + 18 + 8 + caption.length * lineHeight + 8;
  const height = top + chart.height + padding;
  const text = caption.map(
    (line, index) =>
      `<text x="${padding}" y="${padding + 36 + index * lineHeight}" font-size="12" fill="${palette.muted}">${escapeMarkup(line)}</text>`,
  );
  const drawn = drawChart(chart, palette, width - 2 * padding);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="${fontFamily}">
<title>${escapeMarkup(chart.title)}</title>
<desc>${escapeMarkup(chart.caption)}</desc>
<text x="${padding}" y="${padding + 14}" font-size="17" font-weight="600" fill="${palette.text}">${escapeMarkup(chart.title)}</text>
${text.join("\n")}
<svg x="${padding}" y="${top}" width="${width - 2 * padding}" height="${chart.height}" viewBox="0 0 ${width - 2 * padding} ${chart.height}">
${drawn}
</svg>
</svg>
`;
}

/** The chart's own marks, without what only a live page needs. */
function drawChart(chart: Chart, palette: Palette, chartWidth: number): string {
  addParts(chartParts);
  const drawn = init(null, null, {
    renderer: "svg",
    ssr: true,
    width: chartWidth,
    height: chart.height,
  });
  try {
    drawn.setOption(chart.option(palette));
    return tidy(drawn.renderToSVGString());
  } finally {
    drawn.dispose();
  }
}

/**
 * Leaves out the outer element (there is one around it), styles for pointers, and the marks that tie
 * shapes to data; numbers that ECharts counts up from chart to chart begin at 0 in every file.
 */
export function tidy(svg: string): string {
  const ids = new Map<string, string>();
  return svg
    .replace(/^<svg[^>]*>\s*/, "")
    .replace(/\s*<\/svg>\s*$/, "")
    .replace(/<style\s*>[\s\S]*?<\/style>\s*/g, "")
    .replace(/ (?:class="zr[^"]*"|ecmeta_[a-z_]+="[^"]*"|pointer-events="[^"]*")/g, "")
    .replace(/font-family:[^;"]*;?/g, "")
    .replace(/\bzr\d+-([a-z]+)\d+/g, (id, kind: string) => {
      const known = ids.get(id) ?? `${kind}${ids.size}`;
      ids.set(id, known);
      return known;
    })
    .replace(/<defs\s*>\s*<\/defs>\s*/g, "");
}

/** Lines of at most `length` characters, broken at spaces. */
export function wrap(text: string, length: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > length) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
