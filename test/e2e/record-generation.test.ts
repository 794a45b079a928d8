import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel, type Model, type RecordedGeneration } from "../../src/index.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const base = path("../../demo/model/base");
const heads = path("../../demo/model/heads/hydra");
const prompt = "Once upon a time there was a king";
const tree = "mc_sim_7b_63";

let model: Model;
beforeAll(async () => {
  model = await loadModel(base, { heads, device: "cpu" });
});
afterAll(() => model.dispose());

/** Tokens given out, from the recording alone. */
function givenTokens({ steps }: RecordedGeneration): number[] {
  return steps.flatMap(({ tokens, path, given }) =>
    path.slice(0, given).map((node) => tokens[node] ?? -1),
  );
}

async function recorded(request: Parameters<Model["generate"]>[0]) {
  const result = await model.generate({ ...request, record: true });
  if (result.recording === undefined) throw new Error("nothing was recorded");
  return { ...result, recording: result.recording };
}

describe("a recorded generation", () => {
  it("holds what the stream said of every step", async () => {
    const chunks = [];
    for await (const chunk of model.stream({ prompt, maxNewTokens: 60, tree, record: true }))
      chunks.push(chunk);
    const last = chunks.at(-1);
    const recording = last?.recording;
    expect(recording?.steps.map(({ tokens }) => tokens)).toEqual(chunks.map(({ tree }) => tree));
    expect(
      recording?.steps.map((step) => step.path.map((node) => step.tokens[node] ?? -1)),
    ).toEqual(chunks.map(({ accepted }) => accepted));
    expect(recording?.steps.map(({ given }) => given)).toEqual(
      chunks.map(({ tokens }) => tokens.length),
    );
    expect(chunks.slice(0, -1).every((chunk) => chunk.recording === undefined)).toBe(true);
    expect(recording).toMatchObject({
      model: base,
      heads,
      method: "hydra",
      device: "cpu",
      prompt,
      sampling: [],
      finishReason: last?.finishReason,
      prefillMs: last?.stats?.prefillMs,
      decodeMs: last?.stats?.decodeMs,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it("adds up to the tokens and the text, and its steps to no more than the decoding", async () => {
    const { recording, tokens, text, stats } = await recorded({ prompt, maxNewTokens: 60, tree });
    expect(givenTokens(recording)).toEqual(tokens);
    expect(recording.steps.flatMap(({ pieces }) => pieces ?? []).join("")).toBe(text);
    expect(recording.steps).toHaveLength(stats.steps);
    const committed = recording.steps.reduce((sum, step) => sum + step.path.length, 0);
    expect(committed / stats.steps).toBeCloseTo(stats.tokensPerStep, 10);
    const device = recording.steps.reduce((sum, { ms }) => sum + ms, 0);
    expect(device).toBeGreaterThan(0);
    expect(device).toBeLessThanOrEqual(recording.decodeMs);
  });

  it("has paths that go from the root to a child each time, in trees of as many tokens", async () => {
    const { recording } = await recorded({ prompt, maxNewTokens: 60, tree });
    expect(recording.trees.map(({ parents }) => parents.length)).toEqual([64]);
    expect(recording.trees[0]?.name).toMatch(/^mc_sim_7b_63/);
    for (const step of recording.steps) {
      const { parents = [] } = recording.trees[step.tree] ?? {};
      expect(step.tokens).toHaveLength(parents.length);
      expect(step.path.map((node) => parents[node])).toEqual([-1, ...step.path.slice(0, -1)]);
      for (const token of step.tokens) expect(recording.texts[String(token)]).toBeTypeOf("string");
    }
  });

  it("begins each step with the token the step before went on to", async () => {
    // Greedy and exact: where a draft holds the wanted token it is accepted, so what comes next is
    // never among the children of the last accepted node.
    const { recording } = await recorded({ prompt, maxNewTokens: 60, tree });
    const { parents = [] } = recording.trees[0] ?? {};
    for (const [index, step] of recording.steps.slice(0, -1).entries()) {
      const next = recording.steps[index + 1]?.tokens[0];
      const children = step.tokens.filter((_, node) => parents[node] === step.path.at(-1));
      expect(children).not.toContain(next);
    }
  });

  it("says how much of the last step was given where the text ends inside it", async () => {
    const whole = await recorded({ prompt, maxNewTokens: 80, tree, ignoreEos: true });
    const long = whole.recording.steps.findIndex(({ path }) => path.length > 1);
    const before = whole.recording.steps.slice(0, long).flatMap(({ path }) => path).length;
    const cut = await recorded({ prompt, maxNewTokens: before + 1, tree, ignoreEos: true });
    expect(cut.finishReason).toBe("length");
    expect(cut.recording.steps.at(-1)?.given).toBe(1);
    expect(cut.recording.steps.at(-1)?.path.length).toBeGreaterThan(1);
    expect(givenTokens(cut.recording)).toEqual(cut.tokens);
  });

  it("ends where a stop string ends the text", async () => {
    const whole = await recorded({ prompt, maxNewTokens: 60, tree });
    for (const from of [5, 12, 40]) {
      const stop = whole.text.slice(from, from + 6);
      const { recording, tokens, text } = await recorded({ prompt, maxNewTokens: 60, tree, stop });
      expect(recording.finishReason).toBe("stop");
      expect(givenTokens(recording)).toEqual(tokens);
      expect(recording.steps.flatMap(({ pieces }) => pieces ?? []).join("")).toBe(text);
    }
  });

  it("ends at the model's end token, which has no text in the piece but one in the tree", async () => {
    const { recording, tokens } = await recorded({
      prompt: "And they lived happily ever after. The End.",
      temperature: 1.6,
      seed: 2,
      tree,
    });
    expect(recording.finishReason).toBe("eos");
    expect(givenTokens(recording)).toEqual(tokens);
    expect(recording.steps.at(-1)?.pieces?.at(-1)).toBe("");
    expect(recording.texts[String(model.tokenizer.eosId)]).toBe("</s>");
  });

  it("has every tree that was played under auto, and one step per token without drafts", async () => {
    const auto = await recorded({ prompt, maxNewTokens: 80, tree: "auto", ignoreEos: true });
    expect(givenTokens(auto.recording)).toEqual(auto.tokens);
    const used = new Set(auto.recording.steps.map(({ tree }) => tree));
    expect(used).toEqual(new Set(auto.recording.trees.keys()));
    const plain = await recorded({ prompt, maxNewTokens: 20, method: "autoregressive" });
    expect(plain.recording.method).toBe("autoregressive");
    expect(plain.recording.steps.map(({ path }) => path)).toEqual(Array(20).fill([0]));
  });

  it("tells sampling settings that matter", async () => {
    const { recording } = await recorded({
      prompt,
      maxNewTokens: 4,
      temperature: 0.7,
      topP: 0.9,
      seed: 5,
    });
    expect(recording.sampling).toEqual([
      { name: "temperature", value: "0.7" },
      { name: "top-p", value: "0.9" },
      { name: "seed", value: "5" },
    ]);
  });

  it("is cut to the context with the trees that still fitted, and is absent unless asked for", async () => {
    const small = await loadModel(base, { heads, device: "cpu", contextLength: 24 });
    const { recording, tokens } = await small.generate({
      tokens: [5, 6, 7],
      tree,
      ignoreEos: true,
      record: true,
    });
    expect(recording?.finishReason).toBe("context");
    expect(recording && givenTokens(recording)).toEqual(tokens);
    for (const step of recording?.steps ?? [])
      expect(step.tokens).toHaveLength(recording?.trees[step.tree]?.parents.length ?? 0);
    const { recording: none } = await small.generate({ tokens: [5, 6, 7], maxNewTokens: 2 });
    expect(none).toBeUndefined();
    await small.dispose();
  });
});
