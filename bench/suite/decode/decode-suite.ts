import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadModel, type Model } from "../../../src/index.ts";
import { combinedRate, perStep } from "../../decode/statistics.ts";
import type { Run } from "../../decode/protocol.ts";
import { runOf } from "../../decode/run-of.ts";
import { root } from "../../gpu-check/child.ts";
import type { DeviceKind, SuiteDevice } from "../devices.ts";
import { figure } from "../figures.ts";
import {
  type EntryDone,
  type EntryKey,
  type Job,
  keyOf,
  type Settings,
  unchecked,
} from "../job.ts";
import type { Check, Figure } from "../results.ts";
import { sameTokens } from "../steps/step-model.ts";

/** Draft heads of the demo model: as their method is called, and their folder. */
const heads = [
  { method: "medusa", folder: "medusa" },
  { method: "hydra", folder: "hydra" },
  { method: "hydra++", folder: "hydra-plus-plus" },
] as const;
const tree = { name: "mc_sim_7b_63", rows: 64 } as const;

/** New tokens of a prompt, and how many of the demo's prompts there are. */
interface Amount {
  readonly newTokens: number;
  readonly prompts: number;
  readonly rounds: number;
}

const demo = join(root, "demo", "model");

interface Configuration {
  readonly key: EntryKey;
  /** Folder of the heads; none for plain decoding. */
  readonly folder?: string;
  readonly method?: "auto";
}

/**
 * The demo model from prompt to text: plain, and with each set of heads over a fixed tree and with
 * `auto`. The methods take turns, so that what else happens on the machine hits all alike.
 */
export function decodeJobs(name: string, kind: DeviceKind, settings: Settings): readonly Job[] {
  // It is a model on disk that has one shape.
  if (settings.shapes !== undefined && !settings.shapes.includes("demo")) return [];
  const key = (family: string, what: string, rows: number) =>
    keyOf("decode", { family, name: what, shape: "demo", rows, device: name });
  const all: readonly Configuration[] = [
    { key: key("plain", "greedy", 1) },
    ...heads.flatMap(({ method, folder }): Configuration[] => [
      { key: key(method, tree.name, tree.rows), folder },
      { key: key(method, "auto", tree.rows), folder, method: "auto" },
    ]),
  ];
  const keys = all.map((configuration) => configuration.key);
  return [
    {
      keys,
      run: (device, wanted, done) =>
        runConfigurations(
          device,
          all.filter(({ key: own }, index) => index === 0 || wanted.includes(own)),
          amountOf(kind, settings),
          (entry) => {
            if (wanted.some(({ id }) => id === entry.id)) done(entry);
          },
          settings.checks,
        ),
    },
  ];
}

function amountOf(kind: DeviceKind, { isQuick, rounds }: Settings): Amount {
  if (kind === "emulator") return { newTokens: 6, prompts: 1, rounds: 1 };
  if (isQuick) return { newTokens: 64, prompts: 2, rounds: Math.min(rounds, 3) };
  return { newTokens: 128, prompts: 4, rounds };
}

interface Loaded {
  readonly configuration: Configuration;
  readonly model: Model;
  /** Of every timed round. */
  readonly rounds: (readonly Run[])[];
}

async function runConfigurations(
  device: SuiteDevice,
  configurations: readonly Configuration[],
  amount: Amount,
  done: EntryDone,
  checks: boolean,
): Promise<void> {
  const loaded: Loaded[] = [];
  try {
    for (const configuration of configurations) {
      const { folder } = configuration;
      const model = await loadModel(join(demo, "base"), {
        heads: folder === undefined ? undefined : join(demo, "heads", folder),
        device: device.about.name,
        threads: device.kind === "cpu" ? device.threads : undefined,
      });
      loaded.push({ configuration, model, rounds: [] });
    }
    const prompts = readPrompts(amount.prompts);
    // Round 0 compiles and warms up.
    const first = device.kind === "emulator" ? 1 : 0;
    for (let round = first; round <= amount.rounds; round++) {
      for (const { configuration, model, rounds } of loaded) {
        const runs: Run[] = [];
        for (const [prompt, text] of prompts.entries())
          runs.push(await generate(model, configuration, prompt, text, amount.newTokens));
        if (round > 0) rounds.push(runs);
      }
    }
  } finally {
    for (const { model } of loaded) await model.dispose();
  }
  const plain = loaded[0]?.rounds[0] ?? [];
  for (const { configuration, rounds } of loaded) {
    const { key } = configuration;
    const check: Check = !checks
      ? unchecked
      : configuration.folder === undefined
        ? { status: "skipped", reason: "the others are compared with it" }
        : compare(rounds, plain);
    done({ ...key, figures: figuresOf(device, rounds), check, notes: notesOf(amount) });
  }
}

async function generate(
  model: Model,
  { folder, method }: Configuration,
  prompt: number,
  text: string,
  maxNewTokens: number,
): Promise<Run> {
  const { tokens, stats } = await model.generate({
    prompt: text,
    maxNewTokens,
    ignoreEos: true,
    method: folder === undefined ? "autoregressive" : (method ?? model.method),
    tree: folder === undefined || method === "auto" ? undefined : tree.name,
  });
  return { prompt, ...runOf(tokens, stats) };
}

function figuresOf(
  device: SuiteDevice,
  rounds: readonly (readonly Run[])[],
): Record<string, Figure> {
  const perRound = (what: "stepMs" | "tokensPerStep") => rounds.map((runs) => perStep(runs, what));
  const committed = figure("tokens/step", "higher", perRound("tokensPerStep"), 4);
  // Time on the emulator means nothing.
  if (device.kind === "emulator") return { "tokens per step": committed };
  return {
    rate: figure("tokens/s", "higher", rounds.map(combinedRate)),
    "tokens per step": committed,
    "step time": figure("ms", "lower", perRound("stepMs")),
  };
}

function compare(rounds: readonly (readonly Run[])[], plain: readonly Run[]): Check {
  const checked = rounds.flat().map(({ prompt, tokens }) => {
    const wanted = plain[prompt]?.tokens ?? [];
    return sameTokens(tokens, wanted, `plain decoding of prompt ${prompt}`);
  });
  const failed = checked.find(({ status }) => status === "failed");
  if (failed !== undefined) return failed;
  return {
    status: "passed",
    against: `plain decoding, ${checked.length} texts`,
    error: 0,
    tolerance: 0,
  };
}

function notesOf({ newTokens, prompts }: Amount): Record<string, number> {
  return { prompts, "new tokens": newTokens };
}

function readPrompts(count: number): readonly string[] {
  const texts: unknown = JSON.parse(readFileSync(join(root, "demo", "prompts.json"), "utf8"));
  if (!Array.isArray(texts)) throw new TypeError("demo/prompts.json is a list of texts");
  return texts.filter((text): text is string => typeof text === "string").slice(0, count);
}
