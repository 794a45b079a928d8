import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chartsOf } from "../bench/report/charts-of.ts";
import { darkPalette, lightPalette } from "../bench/report/palette.ts";
import { renderSvg } from "../bench/report/render-svg.ts";
import { readResultFile } from "../bench/report/result-file.ts";
import { record, withoutPauses } from "./pictures/recording.ts";
import { film } from "./pictures/screen.ts";
import { session } from "./pictures/session.ts";
import { darkTerminal, lightTerminal, terminalSvg } from "./pictures/terminal-svg.ts";

/*
 * `npm run pictures [NAMES]`: the pictures of the README and the documents, in docs/images, each for
 * light and for dark pages. Charts are drawn from the committed results; terminals are recorded from
 * real runs, so that their figures are of the machine they were made on: let it be idle.
 */

const root = fileURLToPath(new URL("..", import.meta.url));

const charts = [
  { picture: "step-cost", results: "decode-cpu-2-cores", chart: "step-cost" },
  { picture: "decoding-speed", results: "decode-cpu-2-cores", chart: "rates" },
  {
    picture: "speed-by-acceptance",
    results: "decode-cpu-2-cores",
    chart: "speed-by-acceptance",
  },
  { picture: "acceptance", results: "prompts-demo-cpu", chart: "acceptance" },
  { picture: "tokens-by-category", results: "prompts-demo-cpu", chart: "categories" },
  { picture: "tree-sweep", results: "prompts-demo-cpu", chart: "tree-sweep" },
  { picture: "roofline", results: "quick-cpu-2-cores", chart: "roofline-demo-cpu" },
] as const;

const inspect = "npm run -s hydra -- inspect --shape vicuna-7b --kernel attention_tree --stage";
const terminals = [
  { picture: "demo", title: "npm run demo", commands: ["npm run demo"], columns: 104, rows: 30 },
  {
    picture: "inspect",
    title: "the tree-attention kernel of Vicuna-7B on an H200, without a GPU",
    commands: [`${inspect} specs`, `${inspect} cuda --generated`],
    columns: 120,
    rows: 36,
  },
] as const;

const most = 200_000;
const wanted = process.argv.slice(2);
const isWanted = ({ picture }: { picture: string }) =>
  wanted.length === 0 || wanted.includes(picture);

for (const one of charts.filter(isWanted)) drawChart(one);
for (const one of terminals.filter(isWanted)) await recordTerminal(one);

function drawChart({ picture, results, chart: name }: (typeof charts)[number]): void {
  const file = join(root, "bench", "results", `${results}.json`);
  if (!existsSync(file)) {
    console.log(`${picture}: left out, as there is no ${results}.json`);
    return;
  }
  const all = chartsOf(readResultFile(file));
  const chart = all.find((one) => one.name === name);
  if (chart === undefined)
    throw new Error(`${file} has no chart ${name}, but ${all.map((one) => one.name).join(", ")}`);
  for (const palette of [lightPalette, darkPalette])
    write(picture, palette.scheme, renderSvg(chart, palette));
}

async function recordTerminal(terminal: (typeof terminals)[number]): Promise<void> {
  const { picture, title, commands, columns, rows } = terminal;
  // The first run fills caches that a reader has no interest in.
  for (const command of commands) await record(command, root);
  const recordings = [];
  for (const command of commands) recordings.push(withoutPauses(await record(command, root), 0.4));
  const shown = await film(session(recordings), columns, rows);
  write(picture, "light", terminalSvg(shown, title, lightTerminal));
  write(picture, "dark", terminalSvg(shown, title, darkTerminal));
}

function write(picture: string, scheme: "light" | "dark", svg: string): void {
  if (svg.length > most) throw new Error(`${picture} has ${svg.length} bytes, more than ${most}`);
  const path = join(root, "docs", "images", `${picture}-${scheme}.svg`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, svg);
  console.log(`${path}: ${(svg.length / 1000).toFixed(0)} kB`);
}
