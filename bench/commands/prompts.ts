import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import { number, wholeNumber } from "../../src/cli/model-options.ts";
import { HydrantError, parseTreeJson } from "../../src/index.ts";
import { bestTree } from "../../src/speculation/acceptance-table.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import type { TreeTopology } from "../../src/speculation/tree.ts";
import { readEnvironment } from "../decode/environment.ts";
import { type LongPromptRule, longPromptRules } from "../prompts/conversations.ts";
import { measurePrompts } from "../prompts/measure.ts";
import { downloadSet, isPublicSet, publicSets } from "../prompts/public-sets.ts";
import { parseQuestions, selectQuestions } from "../prompts/questions.ts";
import { formatPrompts, isExact } from "../prompts/report.ts";
import type { PromptsResults } from "../prompts/results.ts";
import { writeTree } from "../prompts/tree-file.ts";
import type { BenchResults } from "../suite/results.ts";
import { count, counts } from "./numbers.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const demo = join(root, "demo", "model");
const ownPrompts = join(root, "bench", "prompts", "own.jsonl");

interface Flags {
  readonly prompts?: string;
  readonly download?: string;
  readonly model: string;
  readonly heads?: readonly string[];
  readonly tree?: string;
  readonly device: string;
  readonly threads?: number;
  readonly context?: number;
  readonly limit?: number;
  readonly perCategory?: number;
  readonly maxNewTokens: number;
  readonly long: LongPromptRule;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly seed: number;
  readonly rounds: number;
  readonly sweep: readonly number[];
  readonly bestTree?: number;
  readonly out?: string;
  readonly json?: string;
}

/** `bench prompts`: speculative decoding over real prompts, and the best static trees for them. */
export function register(program: Command): void {
  program
    .command("prompts")
    .description("speculative decoding over real prompts; the best static trees for them")
    .option("--prompts <file>", "questions as in MT-Bench and Spec-Bench (default: our own)")
    .addOption(
      new Option("--download <set>", "… or a public set, downloaded once")
        .choices(Object.keys(publicSets))
        .conflicts("prompts"),
    )
    .option("--limit <n>", "questions at most", count)
    .option("--per-category <n>", "questions of a category at most", count)
    .option("--model <dir|id>", "model folder or hub id", join(demo, "base"))
    .option("--heads <dirs...>", "draft heads (default: those of the demo model)")
    .option(
      "--tree <name|file.json>",
      "draft tree (default: mc_sim_7b_63, as deep as the heads go)",
    )
    .option("--device <name>", "auto, cuda, cuda:N, cpu, emulator or interpreter", "auto")
    .option("--threads <n>", "CPU threads", count)
    .option("--context <tokens>", "tokens to make room for", count)
    .option("--max-new-tokens <n>", "tokens of an answer at most", count, 64)
    .addOption(
      new Option(
        "--long <rule>",
        "a prompt longer than the context: cut it from the left, or skip it",
      )
        .choices(longPromptRules)
        .default("truncate"),
    )
    .option("--temperature <t>", "0 is greedy", number)
    .option("--top-k <k>", "draw among the k best; 0 is off", wholeNumber)
    .option("--top-p <p>", "draw among the best holding this probability; 1 is off", number)
    .option("--min-p <p>", "draw among tokens this probable relative to the best; 0 is off", number)
    .option("--seed <n>", "of the draws", wholeNumber, 0)
    .option("--rounds <n>", "timed rounds over all questions", count, 3)
    .option("--sweep <list>", "sizes of best trees to try", counts, [1, 2, 4, 8, 16, 32, 63])
    .option("--best-tree <nodes>", "write the best tree of this many nodes to --out", count)
    .option("--out <file>", "tree file, one for every set of heads", "tree.json")
    .option("--json <file>", "write the results")
    .action(async (flags: Flags) => {
      process.exitCode = await run(flags);
    });
}

/** @returns the exit code: 1 when a text is not what plain decoding gives. */
async function run(flags: Flags): Promise<number> {
  const begin = performance.now();
  const { out = "tree.json", model, maxNewTokens } = flags;
  for (const file of [flags.json, flags.bestTree && out]) if (file) checkWritable(file);
  const file = await questionFile(flags);
  const questions = selectQuestions(parseQuestions(readText(file), file), flags);
  const isDemo = resolve(model) === resolve(join(demo, "base"));
  const demoHeads = ["medusa", "hydra", "hydra-plus-plus"].map((name) => join(demo, "heads", name));
  const environment = readEnvironment(root);
  const { temperature, topK, topP, minP, seed } = flags;
  const results = await measurePrompts(
    {
      file: basename(file),
      questions,
      model,
      modelName: existsSync(model) ? relative(root, resolve(model)) : model,
      heads: flags.heads ?? (isDemo ? demoHeads : []),
      load: { device: flags.device, threads: flags.threads, contextLength: flags.context },
      request: { maxNewTokens, temperature, topK, topP, minP, seed },
      longPrompts: flags.long,
      rounds: flags.rounds,
      tree: flags.tree === undefined ? undefined : readTree(flags.tree),
      sizes: flags.sweep,
    },
    progress,
  );
  progress("");
  console.log(formatPrompts(results));
  if (flags.bestTree !== undefined) writeBestTrees(results, flags.bestTree, out);
  if (flags.json !== undefined) {
    const bench: BenchResults = {
      format: "hydrant bench 1",
      command: `npm run bench -- ${process.argv.slice(2).join(" ")}`,
      environment,
      devices: [{ name: results.device, details: deviceDetails(results.device, flags.threads) }],
      loadAfter: loadavg()[0] ?? 0,
      seconds: (performance.now() - begin) / 1000,
      entries: [],
      prompts: results,
    };
    writeFileSync(flags.json, formatJson(bench));
  }
  return isExact(results) ? 0 : 1;
}

async function questionFile({ prompts, download }: Flags): Promise<string> {
  if (download === undefined || !isPublicSet(download)) return prompts ?? ownPrompts;
  return downloadSet(download, {
    progress: (done, total) =>
      progress(
        `downloading ${download}`,
        `${(done / 1e6).toFixed(1)} MB${total === undefined ? "" : ` of ${(total / 1e6).toFixed(1)}`}`,
      ),
  });
}

/** One file for one set of heads; with several the name of the heads goes before the ending. */
function writeBestTrees({ methods }: PromptsResults, nodes: number, out: string): void {
  const measured = methods.filter(({ acceptance }) => acceptance !== undefined);
  for (const { name, acceptance } of measured) {
    const tree = bestTree(acceptance?.table ?? [], nodes);
    const file = measured.length === 1 ? out : out.replace(/(\.json)?$/, `-${name}$1`);
    writeTree(file, tree);
    console.log(`${file}: the best tree of ${tree.size - 1} nodes for ${name}.`);
  }
}

function readTree(tree: string): TreeTopology {
  return tree.endsWith(".json") || existsSync(tree)
    ? parseTreeJson(readText(tree), tree)
    : namedTree(tree);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new HydrantError("prompts/unreadable", "The file cannot be read.", { path: file, cause });
  }
}

function deviceDetails(device: string, threads: number | undefined): string {
  if (device !== "cpu") return "";
  return threads === undefined ? `up to ${availableParallelism()} threads` : `${threads} threads`;
}

/** A list of numbers is one line: trees have many. */
function formatJson(value: unknown): string {
  const text = JSON.stringify(value, null, 1);
  return `${text.replace(/\[\s+([-+.\de,\s]+?)\s+\]/g, (_, list: string) => `[${list.replace(/\s+/g, " ")}]`)}\n`;
}

/** Before the measuring, not after it. */
function checkWritable(file: string): void {
  try {
    accessSync(existsSync(file) ? file : dirname(resolve(file)), constants.W_OK);
  } catch (cause) {
    throw new HydrantError("prompts/unwritable", "The file cannot be written.", {
      path: file,
      cause,
    });
  }
}

/** One line that is overwritten; in a log a line for every phase, without counts. */
function progress(phase: string, count = ""): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${phase} ${count}`);
  else if (phase !== lastPhase && phase !== "") console.error(phase);
  lastPhase = phase;
}
let lastPhase = "";
