import { readFile } from "node:fs/promises";
import { join } from "node:path";
import chalk from "chalk";
import Table from "cli-table3";
import type { Command } from "commander";
import { type GenerateChunk, loadModel } from "../../index.ts";
import { packageRoot } from "../package-root.ts";
import { wholeNumber } from "../model-options.ts";

/** Method name in the table, folder of the heads. */
const methods = [
  { title: "plain", heads: undefined },
  { title: "Medusa", heads: "medusa" },
  { title: "Hydra", heads: "hydra" },
  { title: "Hydra++", heads: "hydra-plus-plus" },
] as const;

interface Row {
  readonly title: string;
  readonly text: string;
  readonly newTokens: number;
  readonly steps: number;
  readonly committed: number;
  readonly ms: number;
}

export function registerDemo(program: Command): void {
  program
    .command("demo")
    .description("the bundled model: plain, Medusa, Hydra and Hydra++ side by side")
    .option("--max-new-tokens <n>", "tokens for each prompt", wholeNumber, 64)
    .option("--device <name>", "as in generate", "auto")
    .action(async ({ maxNewTokens, device }: { maxNewTokens: number; device: string }) =>
      demo(maxNewTokens, device),
    );
}

async function demo(maxNewTokens: number, device: string): Promise<void> {
  const folder = join(packageRoot(), "demo");
  const prompts = JSON.parse(await readFile(join(folder, "prompts.json"), "utf8")) as string[];
  console.log(
    `A small fairy-tale model, greedy, the 63-node tree. ${chalk.green("Green")} text was drafted and accepted.`,
  );
  const rows: Row[] = [];
  for (const { title, heads } of methods)
    rows.push(await runMethod(title, heads, prompts, { folder, maxNewTokens, device }));
  printTable(rows);
}

async function runMethod(
  title: string,
  heads: string | undefined,
  prompts: readonly string[],
  { folder, maxNewTokens, device }: { folder: string; maxNewTokens: number; device: string },
): Promise<Row> {
  const model = await loadModel(join(folder, "model", "base"), {
    heads: heads && join(folder, "model", "heads", heads),
    device,
  });
  let row: Row = { title, text: "", newTokens: 0, steps: 0, committed: 0, ms: 0 };
  try {
    console.log(`\n${chalk.bold(title)}`);
    for (const [index, prompt] of prompts.entries()) {
      // The first text shows the method at work; the others only make the figures steadier.
      const shown = index === 0;
      if (shown) process.stdout.write(chalk.dim(prompt));
      let text = "";
      for await (const chunk of model.stream({
        prompt,
        maxNewTokens,
        ignoreEos: true,
        method: model.method,
      })) {
        text += chunk.text;
        if (shown) process.stdout.write(coloured(chunk));
        const { stats } = chunk;
        if (stats === undefined) continue;
        row = {
          title,
          text: `${row.text}\n${text}`,
          newTokens: row.newTokens + stats.newTokens,
          steps: row.steps + stats.steps,
          committed: row.committed + stats.tokensPerStep * stats.steps,
          ms: row.ms + stats.decodeMs,
        };
      }
      if (shown) process.stdout.write("\n");
    }
    return row;
  } finally {
    await model.dispose();
  }
}

/** The root's text as it is, that of the accepted drafts in green. */
function coloured({ pieces, text }: GenerateChunk): string {
  const [root = "", ...drafted] = pieces;
  const held = text.slice(pieces.join("").length);
  return root + chalk.green(drafted.join("")) + held;
}

function printTable(rows: readonly Row[]): void {
  const plain = rows[0];
  if (plain === undefined) return;
  const table = new Table({
    head: ["method", "tokens per step", "tokens/s", "ms per step", "same text as plain"],
    // Its own colours come even where the output is a file.
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    table.push([
      row.title,
      (row.committed / row.steps).toFixed(2),
      ((1000 * row.newTokens) / row.ms).toFixed(0),
      (row.ms / row.steps).toFixed(2),
      row.text === plain.text ? "yes" : "NO",
    ]);
  }
  console.log(`\n${table.toString()}`);
  console.log(
    [
      "Tokens per step is what speculation buys: one pass of the base model commits that many tokens.",
      "It turns into speed where a pass costs the same for 64 tokens as for one: on a GPU, which waits for",
      "the weights to arrive from memory. This model's weights sit in the CPU's cache, a pass over 64 tokens",
      "costs many passes over one, and plain decoding wins; `--method auto` measures that and chooses it.",
    ].join("\n"),
  );
}
