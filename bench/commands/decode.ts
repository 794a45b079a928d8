import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { openTokenizer } from "../../src/index.ts";
import { publishedPaths } from "../../src/speculation/named-trees.ts";
import {
  type Configuration,
  hydrantConfigurations,
  llamaCppConfigurations,
  type Setup,
} from "../decode/configurations.ts";
import { readEnvironment } from "../decode/environment.ts";
import { measure } from "../decode/measure.ts";
import { compareWithPeers, formatReport, isExact } from "../decode/report.ts";
import type { Report } from "../decode/results.ts";
import { count, counts } from "./numbers.ts";

/*
 * The decode benchmark: tokens per second of plain decoding, of every set of draft heads with a
 * fixed tree and with `auto`, and of llama.cpp with `--peers`; what a step costs by its rows; peak
 * memory; and, in the same run, whether all texts are the same.
 */

const root = fileURLToPath(new URL("../../", import.meta.url));
const demo = join(root, "demo", "model");
/** Rows of the trees whose step is timed. */
const timedRows = [1, 2, 4, 8, 16, 32, 64];

interface Flags {
  readonly model: string;
  readonly heads: readonly string[];
  readonly prompts: string;
  readonly device: string;
  readonly threads: readonly number[];
  readonly useThreads?: number;
  readonly tree: string;
  readonly tokens: number;
  readonly rounds: number;
  readonly peers?: boolean;
  readonly json?: string;
}

/** `bench decode`: decoding end to end, and against llama.cpp. */
export function register(program: Command): void {
  program
    .command("decode")
    .description("decoding: plain, speculative, and against llama.cpp")
    .option("--model <dir>", "Hugging Face model folder", join(demo, "base"))
    .option(
      "--heads <dirs...>",
      "folders of draft heads",
      ["medusa", "hydra", "hydra-plus-plus"].map((name) => join(demo, "heads", name)),
    )
    .option("--prompts <file>", "JSON list of texts", join(root, "demo", "prompts.json"))
    .option("--device <name>", "cpu or interpreter", "cpu")
    .option(
      "--threads <list>",
      "thread counts, as in 1,2 (default: 1 to the number of cores)",
      counts,
      Array.from({ length: availableParallelism() }, (_, i) => i + 1),
    )
    .option(
      "--use-threads <n>",
      "threads of the reference and the heads (default: automatic)",
      count,
    )
    .option("--tree <name>", "draft tree of the fixed configurations", "mc_sim_7b_63")
    .option("--tokens <n>", "new tokens per prompt", count, 128)
    .option("--rounds <n>", "timed rounds", count, 5)
    .option("--peers", "measure llama.cpp too (installs node-llama-cpp into .cache/, once)")
    .option("--json <file>", "write the results")
    .action(async (flags: Flags) => {
      process.exitCode = await run(flags);
    });
}

/** @returns the exit code: 1 when a text is not what plain decoding gives. */
async function run(flags: Flags): Promise<number> {
  const begin = performance.now();
  const environment = readEnvironment(root);
  const tokenizer = await openTokenizer(flags.model);
  const texts = JSON.parse(readFileSync(flags.prompts, "utf8")) as string[];
  const prompts = texts.map((text) => tokenizer.encode(text, { bos: tokenizer.addsBos }));
  const longest = Math.max(...prompts.map((prompt) => prompt.length));

  const setup: Setup = flags;
  const peers = flags.peers
    ? await llamaCppConfigurations(setup, join(root, ".cache", "bench"), longest + flags.tokens)
    : [];
  const published = publishedPaths("mc_sim_7b_63");
  const ours = hydrantConfigurations(setup);
  const { measured, stepCosts } = await measure(
    // Plain decoding and the peers run one after the other, as they are compared round by round.
    [...ours.filter(isPlain), ...peers, ...ours.filter((one) => !isPlain(one))],
    {
      prompts,
      newTokens: flags.tokens,
      rounds: flags.rounds,
      leastMs: 400,
      mostPeerMs: 800,
      trees: timedRows.map((rows) => published.slice(0, rows - 1)),
      stepsPerRound: 6,
    },
    progress,
  );
  progress("");

  const report: Report = {
    environment,
    loadAfter: loadavg()[0] ?? 0,
    seconds: (performance.now() - begin) / 1000,
    settings: {
      model: relative(root, flags.model),
      device: flags.device,
      threads: flags.useThreads ?? "auto",
      prompts: prompts.length,
      newTokens: flags.tokens,
      rounds: flags.rounds,
      tree: flags.tree,
    },
    measured,
    stepCosts,
    exact: isExact(measured),
    againstPeers: compareWithPeers(measured),
  };
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, null, 1)}\n`);
  console.log(formatReport(report));
  return report.exact ? 0 : 1;
}

function isPlain({ kind }: Configuration): boolean {
  return kind === "plain";
}

/** One line that is overwritten, for people at a terminal only. */
function progress(what: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${what}`);
}
