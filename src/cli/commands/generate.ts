import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import {
  explorerPage,
  type GenerateRequest,
  HydrantError,
  type PromptInput,
  type TraceStep,
} from "../../index.ts";
import {
  addModelOrSyntheticOptions,
  addSamplingOptions,
  checkModelFlags,
  generateOptions,
  loadFromFlags,
  type ModelFlags,
  type SamplingFlags,
  tokenIds,
} from "../model-options.ts";
import { OutputFile } from "../output-file.ts";

interface GenerateFlags extends ModelFlags, SamplingFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly promptTokens?: number[];
  readonly json?: boolean;
  readonly trace?: boolean;
  readonly inspect?: string;
}

export function registerGenerate(program: Command): void {
  const command = program.command("generate").description("continue a prompt");
  addSamplingOptions(addModelOrSyntheticOptions(command))
    .option("--prompt <text>", "the text to continue")
    .option("--prompt-file <file>", "… from a file")
    .option("--prompt-tokens <ids>", "… as token ids: 1,2,3", tokenIds)
    .option("--json", "print one JSON object and nothing else")
    .option("--trace", "with --json: every step's tree and accepted tokens")
    .option("--inspect <file.html>", "write a page that replays the generation step by step")
    .action(async (flags: GenerateFlags) => {
      checkModelFlags(command, flags);
      const given = [flags.prompt, flags.promptFile, flags.promptTokens].filter(
        (value) => value !== undefined,
      );
      if (given.length !== 1)
        command.error("error: give exactly one of --prompt, --prompt-file, --prompt-tokens");
      await generate(flags);
    });
}

async function generate(flags: GenerateFlags): Promise<void> {
  const input = await promptInput(flags);
  const options = await generateOptions(flags);
  const page = flags.inspect === undefined ? undefined : await OutputFile.open(flags.inspect);
  try {
    await generateTo(flags, { ...options, ...input, record: page !== undefined }, page);
  } finally {
    await page?.discard();
  }
}

async function generateTo(
  flags: GenerateFlags,
  prompted: GenerateRequest,
  page: OutputFile | undefined,
): Promise<void> {
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort(new HydrantError("cli/interrupted", "Interrupted."));
  process.once("SIGINT", onInterrupt);
  const model = await loadFromFlags(flags, interrupt.signal);
  try {
    const request: GenerateRequest = { ...prompted, signal: interrupt.signal };
    const tokens: number[] = [];
    const trace: TraceStep[] = [];
    let text = "";
    for await (const chunk of model.stream(request)) {
      tokens.push(...chunk.tokens);
      text += chunk.text;
      if (chunk.tree.length > 0) trace.push({ tree: chunk.tree, accepted: chunk.accepted });
      if (!flags.json) process.stdout.write(chunk.text);
      const { finishReason, stats } = chunk;
      if (finishReason === undefined || stats === undefined) continue;
      if (flags.json) {
        const result = { tokens, text, finishReason, stats, ...(flags.trace ? { trace } : {}) };
        process.stdout.write(`${JSON.stringify(result)}\n`);
      } else {
        // Made-up weights have no tokenizer.
        process.stdout.write(flags.synthetic === undefined ? "\n" : `${tokens.join(",")}\n`);
        console.error(
          `${stats.newTokens} tokens in ${stats.steps} steps (${stats.tokensPerStep.toFixed(2)} per step), ` +
            `${stats.tokensPerSecond.toFixed(1)} tokens/s, prefill ${stats.prefillMs.toFixed(0)} ms, ` +
            `${stats.method} on ${stats.device}, finished: ${finishReason}, seed ${stats.seed}`,
        );
      }
      if (page === undefined) continue;
      await page.write(await explorerPage({ generation: chunk.recording }));
      if (!flags.json) console.error(`The generation to replay: ${flags.inspect}`);
    }
  } finally {
    process.off("SIGINT", onInterrupt);
    await model.dispose();
  }
}

async function promptInput({
  prompt,
  promptFile,
  promptTokens,
}: GenerateFlags): Promise<PromptInput> {
  if (promptTokens !== undefined) return { tokens: promptTokens };
  if (promptFile === undefined) return { prompt: prompt ?? "" };
  try {
    return { prompt: await readFile(promptFile, "utf8") };
  } catch (error) {
    throw new HydrantError("cli/prompt-file", "The prompt file cannot be read.", {
      path: promptFile,
      cause: error,
    });
  }
}
