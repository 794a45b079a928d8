import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type GenerateOptions,
  HydrantError,
  type LoadOptions,
  loadModel,
  type Model,
  parseTreeJson,
  syntheticModel,
} from "../index.ts";
import { downloadProgress } from "./download-progress.ts";

/** Flags shared by the commands that load a model. */
export interface ModelFlags {
  readonly model?: string;
  readonly synthetic?: string;
  readonly heads?: string;
  readonly device?: string;
  readonly precision?: "auto" | "f32";
  readonly threads?: number;
  readonly context?: number;
  readonly eagleMask?: "ancestors" | "reference";
}

/** Flags shared by the commands that generate. */
export interface SamplingFlags {
  readonly maxNewTokens?: number;
  readonly method?: string;
  readonly tree?: string;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly acceptance?: string;
  readonly posteriorThreshold?: number;
  readonly posteriorAlpha?: number;
  readonly seed?: bigint;
  readonly ignoreEos?: boolean;
  readonly stop?: string[];
}

/** Options of commands that load a model from files. */
export function addModelOptions(command: Command): Command {
  return addLoadOptions(
    command.requiredOption("--model <dir|id>", "model folder, or hub id such as org/name"),
  );
}

/** The same, for commands that also take made-up weights; `checkModelFlags` comes after. */
export function addModelOrSyntheticOptions(command: Command): Command {
  return addLoadOptions(
    command
      .option("--model <dir|id>", "model folder, or hub id such as org/name")
      .option("--synthetic <shape>", "… or random weights of a published shape: vicuna-7b"),
  );
}

/** Ends the command with a usage error unless it got exactly one model. */
export function checkModelFlags(command: Command, { model, synthetic }: ModelFlags): void {
  if ((model === undefined) === (synthetic === undefined))
    command.error("error: give exactly one of --model, --synthetic");
}

function addLoadOptions(command: Command): Command {
  return command
    .option("--heads <dir|id>", "draft heads: folder or hub id; with --synthetic a name: hydra++")
    .option(
      "--device <name>",
      "auto (a GPU if there is one), cuda, cuda:N, cpu, emulator or interpreter",
      "auto",
    )
    .addOption(
      new Option("--precision <kind>", "f32 keeps activations and caches in f32 on a GPU")
        .choices(["auto", "f32"])
        .default("auto"),
    )
    .option("--threads <n>", "CPU threads", wholeNumber)
    .option("--context <tokens>", "tokens to make room for", wholeNumber)
    .addOption(
      new Option(
        "--eagle-mask <kind>",
        "mask of eagle-attn drafts; reference repeats the original code's",
      )
        .choices(["ancestors", "reference"])
        .default("ancestors"),
    );
}

export function addSamplingOptions(command: Command): Command {
  return command
    .option("--max-new-tokens <n>", "tokens to generate at most", wholeNumber)
    .option(
      "--method <name>",
      "auto, autoregressive, medusa, hydra, hydra++, eagle-attn, cross-attn",
      "auto",
    )
    .option(
      "--tree <name|file.json>",
      "draft tree: a published name, a JSON list of paths, or auto",
    )
    .option("--temperature <t>", "0 is greedy", number)
    .option("--top-k <k>", "draw among the k best; 0 is off", wholeNumber)
    .option("--top-p <p>", "draw among the best holding this probability; 1 is off", number)
    .option("--min-p <p>", "draw among tokens this probable relative to the best; 0 is off", number)
    .option("--repetition-penalty <x>", "divides logits of tokens seen; 1 is off", number)
    .addOption(
      new Option("--acceptance <rule>", "greedy and sample are exact, typical is lossy").choices([
        "greedy",
        "sample",
        "typical",
      ]),
    )
    .option("--posterior-threshold <x>", "for typical acceptance (0.09)", number)
    .option("--posterior-alpha <x>", "for typical acceptance (0.3)", number)
    .option("--seed <n>", "same seed, same text", seed)
    .option("--stop <text...>", "end before any of these")
    .option("--ignore-eos", "go on after the end-of-text token");
}

/** Loads the model of the flags, with a progress bar for what comes from the hub. */
export async function loadFromFlags(flags: ModelFlags, signal?: AbortSignal): Promise<Model> {
  const bar = downloadProgress();
  const options = {
    heads: flags.heads,
    device: flags.device,
    precision: flags.precision,
    threads: flags.threads,
    contextLength: flags.context,
    eagleMask: flags.eagleMask,
    onProgress: bar.update,
    signal,
  } satisfies LoadOptions;
  try {
    return flags.synthetic === undefined
      ? await loadModel(flags.model ?? "", options)
      : await syntheticModel(flags.synthetic, options);
  } finally {
    bar.stop();
  }
}

export async function generateOptions(flags: SamplingFlags): Promise<GenerateOptions> {
  const { tree, ...rest } = flags;
  return { ...rest, tree: tree === undefined ? undefined : await readTree(tree) };
}

/** A tree's name as it is; a file's tree. */
async function readTree(tree: string): Promise<GenerateOptions["tree"]> {
  if (!tree.endsWith(".json") && !existsSync(tree)) return tree;
  let text: string;
  try {
    text = await readFile(tree, "utf8");
  } catch (error) {
    throw new HydrantError("cli/tree-file", "The tree file cannot be read.", {
      path: tree,
      cause: error,
    });
  }
  return parseTreeJson(text, tree);
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError("Not a number.");
  return value;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Not a whole number from 0 on.");
  return Number(text);
}

export function tokenIds(text: string): number[] {
  if (text.trim() === "") return [];
  return text.split(",").map((item) => wholeNumber(item.trim()));
}

function seed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw new InvalidArgumentError("Not a whole number from 0 on.");
  return BigInt(text);
}
