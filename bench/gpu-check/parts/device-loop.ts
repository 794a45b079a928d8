import assert from "node:assert/strict";
import { type DecodeStep, decode } from "../../../runtime/decode-loop.ts";
import { Decoder } from "../../../runtime/decoder.ts";
import type { LoadedWeights } from "../../../runtime/executor.ts";
import { createCudaExecutor } from "../../../src/api/compile-program.ts";
import { describeSynthetic } from "../../../src/api/synthetic-model.ts";
import { weightGraphs } from "../../../src/api/weight-graphs.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import { samplingFields } from "../../../src/ir/op.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import type { Drafter } from "../../../src/speculation/drafter.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, type TreeTopology } from "../../../src/speculation/tree.ts";
import { fixedPolicy } from "../../../src/speculation/tree-policy.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import type { PartContext } from "../part.ts";

interface Played {
  readonly name: string;
  readonly drafter: Drafter;
  readonly tree: TreeTopology;
}

/**
 * Steps that follow each other on the device against steps launched one by one: the same tokens, and
 * what a step takes either way. The small model's steps are launches and little else.
 */
export async function run(part: PartContext): Promise<void> {
  for (const shape of part.small ? ["demo"] : ["demo", "vicuna-7b"]) {
    const alone = await playShape(part, shape, 1);
    const looped = await playShape(part, shape, undefined);
    for (const [name, tokens] of alone) {
      await part.check(`${shape}, ${name}: the tokens of steps launched one by one`, () => {
        assert.deepEqual(looped.get(name), tokens);
      });
    }
  }
}

async function playShape(
  part: PartContext,
  shape: string,
  loopRuns: number | undefined,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const { base, drafter } = describeSynthetic(shape, "hydra++", (weights) => weights);
  const executor = await createCudaExecutor({
    driver: part.device === "emulator" ? "emulator" : "cuda",
    ordinal: Number(part.device.split(":")[1] ?? 0),
    activations: "stored",
    ...(loopRuns === undefined ? {} : { loopRuns }),
  });
  try {
    const weights = await executor.load(syntheticWeights(weightGraphs(base, drafter)));
    const texts = new Map<string, readonly number[]>();
    const played: readonly Played[] = [
      { name: "plain", drafter: noDrafter(), tree: rootOnly },
      { name: "hydra++, 63-node tree", drafter, tree: namedTree("mc_sim_7b_63") },
    ];
    for (const one of played) {
      const steps = await playSteps(part, weights, base, one);
      texts.set(
        one.name,
        steps.flatMap(({ tokens }) => tokens),
      );
      // The first ones begin with what the host did for the prompt.
      const ms = steps.slice(part.small ? 0 : 8).map((step) => step.ms);
      const mean = ms.reduce((sum, value) => sum + value, 0) / ms.length;
      const how = loopRuns === 1 ? "launched one by one" : "on the device";
      part.figure(`${shape}, ${one.name}, ${how}`, "ms", ms);
      part.note(`${shape}, ${one.name}, ${how}: mean, ms`, mean);
    }
    await weights.dispose();
    return texts;
  } finally {
    await executor.dispose();
  }
}

async function playSteps(
  part: PartContext,
  weights: LoadedWeights,
  base: BaseModel,
  { drafter, tree }: Played,
): Promise<readonly DecodeStep[]> {
  const contextLength = part.small ? 64 : 1024;
  const decoder = new Decoder(
    weights.session({ capacity: contextLength + 64 }),
    {
      prefill: buildPrefill(base, drafter),
      step: (one) => buildStep(base, drafter, one),
    },
    { contextLength, prefillRows: part.small ? 16 : 512 },
  );
  const prompt = Array.from(
    { length: part.small ? 8 : 512 },
    (_, i) => (i * 7919) % base.config.vocabSize,
  );
  const policy = fixedPolicy(tree);
  await decoder.prepare(prompt.length, policy.trees);
  const steps: DecodeStep[] = [];
  for await (const step of decode(decoder, {
    prompt,
    sampling: Float32Array.from(samplingFields, (field) =>
      field === "topP" || field === "repetitionPenalty" ? 1 : 0,
    ),
    seed: 1n,
    maxNewTokens: part.small ? 6 : 400,
    eosTokenIds: new Set(),
    policy,
  }))
    steps.push(step);
  decoder.dispose();
  return steps;
}
