import { basename } from "node:path";
import {
  type GenerateOptions,
  HydrantError,
  type LoadOptions,
  loadModel,
  type Model,
} from "../../src/index.ts";
import type { TreeTopology } from "../../src/speculation/tree.ts";
import { loadChatTemplate } from "../../src/text/chat-template.ts";
import { resolveModelPath } from "../../src/weights/hub.ts";
import { type Conversations, holdConversations, type LongPromptRule } from "./conversations.ts";
import { decodeTurns, summarise, summariseCategories, type TurnRun } from "./decode-turns.ts";
import { measureHeads, type Progress } from "./measure-heads.ts";
import type { Question } from "./questions.ts";
import type { MethodResults, PromptsResults } from "./results.ts";

export interface PromptsPlan {
  /** Name of the prompt file, for the results. */
  readonly file: string;
  readonly questions: readonly Question[];
  /** Folder or hub id. */
  readonly model: string;
  /** What the results call it. */
  readonly modelName: string;
  /** Folders or hub ids; none measures plain decoding alone. */
  readonly heads: readonly string[];
  readonly load: Omit<LoadOptions, "heads" | "onProgress">;
  readonly request: GenerateOptions & { readonly maxNewTokens: number };
  readonly longPrompts: LongPromptRule;
  readonly rounds: number;
  readonly tree?: TreeTopology | undefined;
  readonly sizes: readonly number[];
}

/**
 * Measures every set of heads against plain decoding. One model is loaded at a time: plain decoding
 * takes turns with the heads loaded beside it, round by round, and is compared with those alone.
 */
export async function measurePrompts(
  plan: PromptsPlan,
  progress: Progress,
): Promise<PromptsResults> {
  // A name that is wrong is found before minutes of measuring.
  for (const heads of plan.heads) await resolveModelPath(heads, "heads");
  const methods: MethodResults[] = [];
  const plain: (readonly TurnRun[])[] = [];
  let held: Conversations | undefined;
  let device = "";
  for (const heads of plan.heads.length > 0 ? plan.heads : [undefined]) {
    const name = heads === undefined ? "plain" : basename(heads);
    progress(`${name}: loading`);
    await using model = await loadModel(plan.model, { ...plan.load, heads });
    device = model.device;
    held ??= await hold(model, plan, progress);
    const say: Progress = (phase, count) => progress(`${name}: ${phase}`, count);
    if (heads === undefined) {
      for (let round = 0; round < plan.rounds; round++) {
        say(`round ${round + 1} of ${plan.rounds}`);
        plain.push(await decodeTurns(model, held.turns, plan.request));
      }
      continue;
    }
    const measured = await measureHeads(model, heads, held.turns, plan, say);
    plain.push(...measured.plain);
    methods.push(measured.results);
  }
  const turns = held?.turns ?? [];
  return {
    file: plan.file,
    model: plan.modelName,
    device,
    prompts: plan.questions.length,
    turns: turns.length,
    newTokens: plan.request.maxNewTokens,
    rounds: plan.rounds,
    longPrompts: { rule: plan.longPrompts, turns: held?.long ?? 0 },
    sampling: describeSampling(plan.request),
    methods: [plainResults(plain), ...methods],
  };
}

async function hold(model: Model, plan: PromptsPlan, progress: Progress): Promise<Conversations> {
  const dir = await resolveModelPath(plan.model, "model");
  const template = await loadChatTemplate(dir, { tokenizer: model.tokenizer, names: [dir] });
  const { request, longPrompts, questions } = plan;
  const options = { chat: !template.plain, request, longPrompts };
  const held = await holdConversations(model, questions, options, (done) =>
    progress("conversations", `${done} of ${questions.length}`),
  );
  if (held.turns.length > 0) return held;
  throw new HydrantError("prompts/too-long", "No prompt fits in the context.", {
    path: plan.file,
    hint: "Let --long truncate them, or give a larger --context or smaller --max-new-tokens.",
  });
}

function plainResults(rounds: readonly (readonly TurnRun[])[]): MethodResults {
  const runs = rounds.flat();
  return {
    name: "plain",
    method: "autoregressive",
    tree: "none",
    nodes: 0,
    overall: summarise("overall", rounds, rounds),
    categories: summariseCategories(rounds, rounds),
    same: { texts: runs.filter((run) => run.same).length, of: runs.length },
  };
}

function describeSampling({ temperature = 0, topK, topP, minP, seed }: GenerateOptions): string {
  if (temperature === 0) return "greedy";
  const others = Object.entries({ topK, topP, minP, seed }).filter(
    ([, value]) => value !== undefined,
  );
  return [`temperature ${temperature}`, ...others.map(([name, value]) => `${name} ${value}`)].join(
    ", ",
  );
}
