import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Executor } from "../../runtime/executor.ts";
import { unusedHeadTensors } from "../../src/drafters/registry.ts";
import { loadModel } from "../../src/index.ts";
import { Model as LoadedModel } from "../../src/api/model.ts";
import { describeModel, openCheckpoints } from "../../src/api/open-checkpoints.ts";
import { expectedTensors, parameterSource } from "../../src/api/parameter-source.ts";
import { weightGraphs } from "../../src/api/weight-graphs.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { bindTensors } from "../../src/weights/bind.ts";
import type { TensorFile } from "../../src/weights/tensor-file.ts";
import { compareNodeLogits } from "../conformance/lossless-checks.ts";
import { Random } from "../helpers/random.ts";
import { emulatedExecutor, onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

const demo = fileURLToPath(new URL("../../demo/", import.meta.url));
const base = join(demo, "model/base");
const prompts = JSON.parse(readFileSync(join(demo, "prompts.json"), "utf8")) as string[];
const prompt = prompts[0] ?? "";
const maxNewTokens = 12;

/** The demo model on an executor of the test's own. */
async function demoOn(
  executor: Executor,
  activations: "f32" | "stored",
  heads?: string,
): Promise<LoadedModel> {
  const opened: TensorFile[] = [];
  const folder = heads === undefined ? undefined : join(demo, "model/heads", heads);
  const checkpoints = await openCheckpoints(base, folder, opened);
  const { base: model, drafter } = describeModel(checkpoints, (weights) =>
    activations === "f32" ? "f32" : weights,
  );
  const needed = expectedTensors(weightGraphs(model, drafter));
  const { file, heads: headFile } = checkpoints;
  const source = parameterSource(
    { file, tensors: bindTensors(needed.base, file, { ignore: [/inv_freq$/] }) },
    headFile && {
      file: headFile.file,
      tensors: bindTensors(needed.heads, headFile.file, {
        ignore: unusedHeadTensors(headFile.config),
      }),
    },
  );
  const weights = await executor.load(source);
  await Promise.all(opened.map((one) => one.close()));
  return new LoadedModel({
    name: base,
    headsName: undefined,
    base: model,
    drafter,
    // The executor outlives the model.
    executor: { ...executor, dispose: async () => {} },
    weights,
    tokenizer: await loadTokenizer(base),
    chatTemplate: undefined,
    contextLength: 128,
    prefillRows: 64,
  });
}

describe.skipIf(withoutNvrtc)(`the demo model ${onTheEmulator}`, { timeout: 240_000 }, () => {
  let expected: readonly number[];
  // One of each: kernels are translated once.
  let f32: Executor;
  let stored: Executor;
  beforeAll(async () => {
    const cpu = await loadModel(base, { device: "cpu" });
    expected = (await cpu.generate({ prompt, maxNewTokens })).tokens;
    await cpu.dispose();
    f32 = await emulatedExecutor("f32", "8.0");
    stored = await emulatedExecutor("stored", "9.0");
  });
  afterAll(async () => {
    await f32.dispose();
    await stored.dispose();
  });

  it.each([undefined, "medusa", "hydra", "hydra-plus-plus"])(
    "gives the CPU's tokens with f32 activations, heads %s",
    async (heads) => {
      const model = await demoOn(f32, "f32", heads);
      const { tokens, stats } = await model.generate({
        prompt,
        maxNewTokens,
        ...(heads === undefined ? {} : { tree: "mc_sim_7b_63" }),
      });
      expect(tokens).toEqual(expected);
      expect(stats.tokensPerStep > 1).toBe(heads !== undefined);
      await model.dispose();
    },
  );

  it("gives plain decoding's tokens on tensor cores, greedy and sampled, whatever the heads", async () => {
    // The emulator takes seconds for a step of 64 nodes.
    const few = 6;
    const texts = new Map<string, unknown>();
    for (const heads of [undefined, "medusa", "hydra", "hydra-plus-plus"]) {
      const model = await demoOn(stored, "stored", heads);
      const tree = heads === undefined ? {} : { tree: "mc_sim_7b_63" };
      const greedy = await model.generate({ prompt, maxNewTokens: few, ...tree });
      const sampled = await model.generate({
        prompt,
        maxNewTokens: few,
        temperature: 0.9,
        topP: 0.95,
        repetitionPenalty: 1.1,
        seed: 3,
        ...tree,
      });
      texts.set(heads ?? "plain", [greedy.tokens, sampled.tokens]);
      await model.dispose();
    }
    const plain = texts.get("plain");
    expect([...texts.values()]).toEqual([...texts.values()].map(() => plain));
  });

  it("gives a node of a 64-node step the very logits of a one-row step on tensor cores", async () => {
    const model = {
      config: parseModelConfig(JSON.parse(readFileSync(join(base, "config.json"), "utf8")), base),
      storedType: () => "bf16" as const,
      cacheType: "bf16" as const,
    };
    // Past the first block of 64 keys, so that tensor cores see the prefix.
    await compareNodeLogits(stored, model, new Random(1), {
      length: 100,
      what: "the demo model's shape",
    });
  });
});
