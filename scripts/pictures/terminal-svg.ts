import type { Film, Look, Mark } from "./screen.ts";

export interface TerminalTheme {
  readonly background: string;
  readonly bar: string;
  readonly border: string;
  readonly text: string;
  readonly dim: string;
  /** The colours 0 to 7; the bright ones look the same. */
  readonly colours: readonly string[];
}

export const darkTerminal: TerminalTheme = {
  background: "#0f141b",
  bar: "#1a212b",
  border: "#30363d",
  text: "#dbe2ea",
  dim: "#8b95a1",
  colours: ["#484f58", "#ff7b72", "#3fd07f", "#e3b341", "#6ea8fe", "#c297ff", "#45c5dd", "#b1bac4"],
};

export const lightTerminal: TerminalTheme = {
  background: "#fbfcfd",
  bar: "#eef1f4",
  border: "#d0d7de",
  text: "#24292f",
  dim: "#68727d",
  colours: ["#24292f", "#cf222e", "#0a7d3c", "#8a6100", "#0b5fd0", "#7a3fd1", "#0e7490", "#57606a"],
};

const fontSize = 14;
/** Every cell is stretched to this width, so that columns stand under each other in any font. */
const cellWidth = 8.43;
const lineHeight = 17;
/** From the top of a line: an underscore of the line above ends before it. */
const baseline = 12.5;
const padding = 16;
const barHeight = 36;
/** Seconds the last screen stays before it begins again. */
const rest = 6;

/**
 * A film as one SVG: no script, the text is text, and without animations (or for who wants less
 * motion) it shows the last screen.
 */
export function terminalSvg(film: Film, title: string, theme: TerminalTheme): string {
  const { columns, rows, marks, scrolls, seconds } = film;
  const width = Math.ceil(columns * cellWidth) + 2 * padding;
  const height = rows * lineHeight + barHeight + 2 * padding;
  const total = seconds + rest;
  const moves = new Set(marks.filter(isMoving).map(spanName));
  const middle = barHeight / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="${fontSize}">
<title>${escapeText(title)}</title>
<style>
text{white-space:pre;fill:${theme.text}}
.d{fill:${theme.dim}}.b{font-weight:700}
${colourRules(marks, theme)}
.m{animation:0s step-end infinite;animation-duration:${total.toFixed(2)}s}
${[...moves].map((name) => spanRule(name, total)).join("\n")}
.gone{visibility:hidden}
${scrollRule(scrolls, total)}
@media(prefers-reduced-motion:reduce){.m,.s{animation:none}}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="10" fill="${theme.background}" stroke="${theme.border}"/>
<path d="M.5 ${barHeight}V10.5a10 10 0 0 1 10-10H${width - 10.5}a10 10 0 0 1 10 10V${barHeight}z" fill="${theme.bar}" stroke="${theme.border}"/>
${["#ff5f57", "#febc2e", "#28c840"].map((fill, i) => `<circle cx="${20 + 20 * i}" cy="${middle}" r="6" fill="${fill}"/>`).join("")}
<text class="d" x="${width / 2}" y="${middle + 4.5}" text-anchor="middle" font-size="13">${escapeText(title)}</text>
<svg x="${padding}" y="${barHeight + padding - 4}" width="${width - 2 * padding}" height="${rows * lineHeight + 6}">
<g class="s">
${marks.map(drawMark).join("\n")}
</g>
</svg>
</svg>
`;
}

function drawMark(mark: Mark): string {
  const { line, column, text, width, look } = mark;
  const names = [
    ...lookNames(look),
    ...(isMoving(mark) ? ["m", spanName(mark)] : []),
    ...(mark.until === undefined ? [] : ["gone"]),
  ];
  const of = names.length === 0 ? "" : ` class="${names.join(" ")}"`;
  const x = (column * cellWidth).toFixed(1);
  return `<text${of} x="${x}" y="${line * lineHeight + baseline}" textLength="${(width * cellWidth).toFixed(1)}" lengthAdjust="spacingAndGlyphs">${escapeText(text)}</text>`;
}

function lookNames({ colour, isBold, isDim }: Look): string[] {
  return [
    ...(colour === undefined ? [] : [`c${colour % 8}`]),
    ...(isBold ? ["b"] : []),
    ...(isDim ? ["d"] : []),
  ];
}

function colourRules(marks: readonly Mark[], theme: TerminalTheme): string {
  const used = new Set(marks.flatMap(({ look }) => look.colour ?? []).map((colour) => colour % 8));
  return [...used]
    .sort()
    .map((colour) => `.c${colour}{fill:${theme.colours[colour] ?? theme.text}}`)
    .join("");
}

function isMoving({ from, until }: Mark): boolean {
  return from > 0 || until !== undefined;
}

/** Marks that come and go together share their animation. Hundredths of a second. */
function spanName({ from, until }: Mark): string {
  const hundredths = (time: number) => Math.round(100 * time);
  return `t${hundredths(from)}${until === undefined ? "" : `-${hundredths(until)}`}`;
}

function spanRule(name: string, total: number): string {
  const [from = 0, until] = name
    .slice(1)
    .split("-")
    .map((hundredths) => Number(hundredths) / 100);
  const at = (time: number) => `${((100 * time) / total).toFixed(2)}%`;
  const end = until === undefined ? "" : `${at(until)}{visibility:hidden}`;
  return `.${name}{animation-name:${name}}@keyframes ${name}{0%{visibility:${from === 0 ? "visible" : "hidden"}}${from === 0 ? "" : `${at(from)}{visibility:visible}`}${end}}`;
}

function scrollRule(scrolls: Film["scrolls"], total: number): string {
  const last = scrolls.at(-1)?.top ?? 0;
  if (last === 0) return "";
  const steps = scrolls.map(
    ({ at, top }) =>
      `${((100 * at) / total).toFixed(2)}%{transform:translateY(${-top * lineHeight}px)}`,
  );
  return `.s{transform:translateY(${-last * lineHeight}px);animation:s ${total.toFixed(2)}s step-end infinite}@keyframes s{${steps.join("")}}`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
