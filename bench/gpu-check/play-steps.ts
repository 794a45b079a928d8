import assert from "node:assert/strict";
import { type DecodeStep, decode } from "../../runtime/decode-loop.ts";
import { Decoder } from "../../runtime/decoder.ts";
import type { LoadedWeights } from "../../runtime/executor.ts";
import { createCudaExecutor } from "../../src/api/compile-program.ts";
import { describeSynthetic } from "../../src/api/synthetic-model.ts";
import { weightGraphs } from "../../src/api/weight-graphs.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import type { BaseModel } from "../../src/models/llama.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { rootOnly, type TreeTopology } from "../../src/speculation/tree.ts";
import { fixedPolicy } from "../../src/speculation/tree-policy.ts";
import { syntheticWeights } from "../../src/weights/synthetic.ts";
import type { PartContext } from "./part.ts";

/** How much is played. */
export interface PlayedText {
  readonly contextLength: number;
  readonly prefillRows: number;
  readonly promptTokens: number;
  readonly newTokens: number;
}

/** As in `CudaOptions`. */
export interface PlayedLaunches {
  readonly loopRuns?: number;
  readonly overlapLaunches?: boolean;
}

interface Played {
  readonly name: string;
  readonly drafter: Drafter;
  readonly tree: TreeTopology;
}

/** Plain and Hydra++ steps of a shape with synthetic weights, by name; `text` is how long they go on. */
export async function playShape(
  part: PartContext,
  shape: string,
  text: PlayedText,
  launches: PlayedLaunches,
): Promise<ReadonlyMap<string, readonly DecodeStep[]>> {
  const { base, drafter } = describeSynthetic(shape, "hydra++", (weights) => weights);
  const executor = await createCudaExecutor({
    driver: part.device === "emulator" ? "emulator" : "cuda",
    ordinal: Number(part.device.split(":")[1] ?? 0),
    activations: "stored",
    ...launches,
  });
  try {
    const weights = await executor.load(syntheticWeights(weightGraphs(base, drafter)));
    const steps = new Map<string, readonly DecodeStep[]>();
    const played: readonly Played[] = [
      { name: "plain", drafter: noDrafter(), tree: rootOnly },
      { name: "hydra++, 63-node tree", drafter, tree: namedTree("mc_sim_7b_63") },
    ];
    for (const one of played) steps.set(one.name, await playSteps(weights, base, one, text));
    await weights.dispose();
    return steps;
  } finally {
    await executor.dispose();
  }
}

async function playSteps(
  weights: LoadedWeights,
  base: BaseModel,
  { drafter, tree }: Played,
  { contextLength, prefillRows, promptTokens, newTokens }: PlayedText,
): Promise<readonly DecodeStep[]> {
  const decoder = new Decoder(
    weights.session({ capacity: contextLength + 64 }),
    {
      prefill: buildPrefill(base, drafter),
      step: (one) => buildStep(base, drafter, one),
    },
    { contextLength, prefillRows },
  );
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919) % base.config.vocabSize);
  const policy = fixedPolicy(tree);
  await decoder.prepare(prompt.length, policy.trees);
  const steps: DecodeStep[] = [];
  for await (const step of decode(decoder, {
    prompt,
    sampling: Float32Array.from(samplingFields, (field) =>
      field === "topP" || field === "repetitionPenalty" ? 1 : 0,
    ),
    seed: 1n,
    maxNewTokens: newTokens,
    eosTokenIds: new Set(),
    policy,
  }))
    steps.push(step);
  decoder.dispose();
  return steps;
}

/** What the steps gave out. */
export function tokensOf(steps: readonly DecodeStep[]): readonly number[] {
  return steps.flatMap(({ tokens }) => tokens);
}

const quick: PlayedText = { contextLength: 192, prefillRows: 64, promptTokens: 64, newTokens: 48 };
const tiny: PlayedText = { contextLength: 64, prefillRows: 16, promptTokens: 8, newTokens: 6 };

/** Checks on a small model that launches made in two ways lead to the same tokens. */
export async function compareLaunches(
  part: PartContext,
  usual: PlayedLaunches,
  other: PlayedLaunches,
): Promise<void> {
  const text = part.small ? tiny : quick;
  const wanted = await playShape(part, "demo", text, other);
  const found = await playShape(part, "demo", text, usual);
  for (const [name, steps] of wanted) {
    await part.check(name, () => {
      assert.deepEqual(tokensOf(found.get(name) ?? []), tokensOf(steps));
    });
  }
}
