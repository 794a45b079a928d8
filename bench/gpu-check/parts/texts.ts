import assert from "node:assert/strict";
import { join } from "node:path";
import { loadModel, type Model, syntheticModel } from "../../../src/index.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { commonTokens } from "../../peers/torch/torch-peer.ts";
import { root } from "../child.ts";
import { textNames } from "../figure-names.ts";
import type { PartContext } from "../part.ts";

const demo = join(root, "demo", "model");
const promptTokens = 32;

interface Amount {
  readonly prompts: number;
  readonly newTokens: number;
  /** No text is begun after this time. */
  readonly mostSeconds: number;
}
const whole: Amount = { prompts: 20, newTokens: 512, mostSeconds: 52 };
const small: Amount = { prompts: 1, newTokens: 6, mostSeconds: 60 };

/** Long greedy texts, speculative and plain: the same tokens, on trained and on made-up weights. */
export async function run(part: PartContext): Promise<void> {
  const { device } = part;
  const amount = part.small ? small : whole;
  const begin = performance.now();
  const isLate = () => (performance.now() - begin) / 1000 > amount.mostSeconds;
  const contextLength = promptTokens + amount.newTokens + 80;
  const trained = await loadModel(join(demo, "base"), {
    device,
    contextLength,
    heads: join(demo, "heads", "hydra-plus-plus"),
  });
  await compareTexts(part, "demo", trained, amount, isLate);
  await trained.dispose();
  if (part.small) return;
  const madeUp = await syntheticModel("vicuna-7b", { device, contextLength, heads: "hydra++" });
  await compareTexts(part, "vicuna-7b", madeUp, amount, isLate);
  await madeUp.dispose();
}

async function compareTexts(
  part: PartContext,
  name: "demo" | "vicuna-7b",
  model: Model,
  { prompts, newTokens }: Amount,
  isLate: () => boolean,
): Promise<void> {
  let compared = 0;
  let same = 0;
  let steps = 0;
  const generate = async (prompt: number, method: string, tree: string | undefined) => {
    const { tokens, stats } = await model.generate({
      tokens: promptOf(namedShape(name).vocabSize, prompt),
      maxNewTokens: newTokens,
      ignoreEos: true,
      method,
      tree,
    });
    return { tokens, steps: stats.steps };
  };
  for (let prompt = 0; prompt < prompts && !isLate(); prompt++) {
    await part.check(`${name}: prompt ${prompt}`, async () => {
      const plain = await generate(prompt, "autoregressive", undefined);
      const drafted = await generate(prompt, model.method, "mc_sim_7b_63");
      compared++;
      steps += drafted.steps;
      const shared = commonTokens(plain.tokens, drafted.tokens);
      assert.equal(plain.tokens.length, newTokens);
      assert.equal(shared, newTokens, `the texts part after ${shared} tokens`);
      assert.equal(drafted.tokens.length, newTokens);
      same++;
    });
  }
  part.note(textNames.compared(name), compared);
  part.note(textNames.same(name), same);
  part.note(`${name}: tokens of a text`, newTokens);
  if (steps > 0) part.note(`${name}: tokens per step`, (compared * newTokens) / steps);
  if (compared < prompts)
    part.skip(`${name}: ${prompts - compared} prompts`, "there was no time for them");
}

/** Token ids without pattern, others for every prompt. */
function promptOf(vocabSize: number, prompt: number): number[] {
  return Array.from({ length: promptTokens }, (_, i) => {
    const word = (Math.imul(i + 1, 2654435761) + Math.imul(prompt + 1, 40503)) >>> 0;
    return (word >>> 8) % vocabSize;
  });
}
