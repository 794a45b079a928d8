import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HydrantError, loadModel, type Model } from "../../src/index.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const base = path("../../demo/model/base");
const headsOf = (name: string) => path(`../../demo/model/heads/${name}`);
const heads = ["medusa", "hydra", "hydra-plus-plus"] as const;
const prompt = "Once upon a time there was a king";

interface Expected {
  readonly prompt_ids: number[];
  readonly greedy_ids: number[];
  readonly committed_per_step: Record<string, number[]>;
}
const expectedFile = path("../../../shared/demo-model/greedy.jsonl");
const expected: Expected[] = existsSync(expectedFile)
  ? readFileSync(expectedFile, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
  : [];

const models = new Map<string, Model>();
const model = (name: "none" | (typeof heads)[number]): Model => {
  const found = models.get(name);
  if (found === undefined) throw new Error(`${name} is not loaded`);
  return found;
};

beforeAll(async () => {
  models.set("none", await loadModel(base));
  for (const name of heads) models.set(name, await loadModel(base, { heads: headsOf(name) }));
});
afterAll(async () => {
  for (const loaded of models.values()) await loaded.dispose();
});

describe.skipIf(expected.length === 0)(
  "the demo model against its reference continuations (needs ../shared/demo-model)",
  () => {
    it("decodes plainly as the reference does, on every prompt", async () => {
      for (const { prompt_ids, greedy_ids } of expected) {
        const { tokens } = await model("none").generate({
          tokens: prompt_ids,
          maxNewTokens: 128,
          ignoreEos: true,
        });
        expect(tokens).toEqual(greedy_ids);
      }
    });

    it.each(heads)(
      "decodes with %s heads as the reference does, step by step, on every prompt",
      async (name) => {
        for (const { prompt_ids, greedy_ids, committed_per_step } of expected) {
          const committed: number[] = [];
          const tokens: number[] = [];
          const request = {
            tokens: prompt_ids,
            maxNewTokens: 128,
            ignoreEos: true,
            tree: "mc_sim_7b_63",
          };
          for await (const chunk of model(name).stream(request)) {
            tokens.push(...chunk.tokens);
            committed.push(chunk.accepted.length);
          }
          expect(tokens).toEqual(greedy_ids);
          expect(committed).toEqual(committed_per_step[name]);
        }
      },
      120_000,
    );
  },
);

describe("sampling", () => {
  it.each(heads)("gives plain sampling's text with %s heads for the same seed", async (name) => {
    for (const sampling of [
      { temperature: 0.7, topP: 0.9, seed: 11 },
      { temperature: 1.2, topP: 0.95, topK: 50, seed: 12 },
      { temperature: 1.2, minP: 0.05, repetitionPenalty: 1.3, seed: 13 },
    ]) {
      const request = { prompt, maxNewTokens: 60, ...sampling };
      const plain = await model("none").generate(request);
      const speculative = await model(name).generate({ ...request, tree: "mc_sim_7b_63" });
      expect(speculative.tokens).toEqual(plain.tokens);
      expect(speculative.text).toBe(plain.text);
      expect(speculative.stats.steps).toBeLessThan(plain.stats.steps);
    }
  });

  it("draws another text for another seed, and the same for the same", async () => {
    const run = async (seed: number) =>
      (await model("none").generate({ prompt, maxNewTokens: 30, temperature: 1, seed })).text;
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
  });
});

describe("a request", () => {
  it("may be text, tokens or messages", async () => {
    const tokens = model("none").promptTokens({ prompt });
    const fromText = await model("none").generate({ prompt, maxNewTokens: 10 });
    expect((await model("none").generate({ tokens, maxNewTokens: 10 })).tokens).toEqual(
      fromText.tokens,
    );
    const chat = await model("none").generate({
      messages: [{ role: "user", content: prompt }],
      maxNewTokens: 10,
    });
    expect(chat.tokens).toHaveLength(10);
  });

  it("streams text that adds up to the result, and pieces that add up to the text", async () => {
    const request = { prompt, maxNewTokens: 40 };
    const { text } = await model("hydra").generate(request);
    let streamed = "";
    for await (const chunk of model("hydra").stream(request)) {
      streamed += chunk.text;
      expect(chunk.pieces).toHaveLength(chunk.tokens.length);
      expect(chunk.text.startsWith(chunk.pieces.join(""))).toBe(true);
    }
    expect(streamed).toBe(text);
    expect(model("hydra").tokenizer.encode(text).length).toBeGreaterThan(20);
  });

  it("ends before a stop string, wherever chunks end", async () => {
    const full = await model("none").generate({ prompt, maxNewTokens: 60 });
    for (const from of [5, 11, 23]) {
      const stop = full.text.slice(from, from + 7);
      const cut = full.text.slice(0, full.text.indexOf(stop));
      for (const name of ["none", "hydra"] as const) {
        const { text, finishReason, tokens } = await model(name).generate({
          prompt,
          maxNewTokens: 60,
          stop,
          tree: name === "none" ? undefined : "mc_sim_7b_63",
        });
        expect(text).toBe(cut);
        expect(finishReason).toBe("stop");
        expect(tokens).toEqual(full.tokens.slice(0, tokens.length));
      }
    }
  });

  it("is refused when its numbers make no sense", async () => {
    const bad = [
      { temperature: -1 },
      { topP: 0 },
      { topK: 1.5 },
      { minP: 2 },
      { repetitionPenalty: 0 },
      { maxNewTokens: 0 },
      { seed: -1 },
      { seed: 1.5 },
      { acceptance: "wishful" },
      { method: "hydra" },
      { tree: "oak" },
      { stop: "" },
    ];
    for (const options of bad) {
      await expect(
        model("none").generate({ prompt, ...options }),
        JSON.stringify(options),
      ).rejects.toThrow(HydrantError);
    }
    await expect(model("hydra").generate({ prompt, tree: [[0], [0, 0, 0]] })).rejects.toMatchObject(
      { code: "tree/missing-parent" },
    );
  });
});

describe("a model", () => {
  it("is refused when it is not exactly one prompt, or not text where text belongs", async () => {
    const bad: [object, string][] = [
      [{}, "generate/input"],
      [{ prompt, tokens: [5] }, "generate/input"],
      [{ prompt: 5 }, "generate/input"],
      [{ prompt: "" }, "generate/empty-prompt"],
      [{ tokens: [] }, "generate/empty-prompt"],
      [{ prompt, stop: [5] }, "generate/stop"],
    ];
    for (const [request, code] of bad) {
      // What plain JavaScript can pass and types forbid.
      const call = model("none").generate(request as { prompt: string });
      await expect(call, JSON.stringify(request)).rejects.toMatchObject({ code });
    }
  });

  it("stops within one step of an abort, and goes on to serve", async () => {
    const abort = new AbortController();
    let tokens = 0;
    const running = (async () => {
      for await (const chunk of model("hydra").stream({
        prompt,
        maxNewTokens: 500,
        signal: abort.signal,
      })) {
        tokens += chunk.tokens.length;
        if (tokens > 10) abort.abort();
      }
    })();
    await expect(running).rejects.toThrow();
    expect(tokens).toBeLessThan(20);
    expect((await model("hydra").generate({ prompt, maxNewTokens: 5 })).tokens).toHaveLength(5);
  });

  it("stops while it still measures which tree pays", async () => {
    const fresh = await loadModel(base, { heads: headsOf("hydra") });
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 1);
    const call = fresh.generate({ prompt, maxNewTokens: 5, method: "auto", signal: abort.signal });
    await expect(call).rejects.toThrow("enough");
    await fresh.dispose();
  });

  it("fits its measurements into any context", async () => {
    for (const contextLength of [2, 9, 12]) {
      const small = await loadModel(base, { heads: headsOf("hydra"), contextLength });
      const { tokens, finishReason } = await small.generate({ tokens: [5], ignoreEos: true });
      expect({ finishReason, length: tokens.length }).toEqual({
        finishReason: "context",
        length: contextLength - 1,
      });
      await small.dispose();
    }
  });

  it("lets timers fire while it generates, so that a time limit works", async () => {
    const begin = performance.now();
    const running = model("none").generate({
      prompt,
      maxNewTokens: 900,
      signal: AbortSignal.timeout(30),
    });
    await expect(running).rejects.toMatchObject({ name: "TimeoutError" });
    expect(performance.now() - begin).toBeLessThan(400);
  });

  it("serves overlapping calls, each as if alone", async () => {
    const alone = await model("hydra").generate({ prompt, maxNewTokens: 30 });
    const other = await model("hydra").generate({ prompt: "The old woman", maxNewTokens: 30 });
    const both = await Promise.all([
      model("hydra").generate({ prompt, maxNewTokens: 30 }),
      model("hydra").generate({ prompt: "The old woman", maxNewTokens: 30 }),
    ]);
    expect(both.map(({ tokens }) => tokens)).toEqual([alone.tokens, other.tokens]);
  });

  it("reuses the caches of the text it continues", async () => {
    const first = await model("hydra").generate({ prompt, maxNewTokens: 20 });
    const continued = await model("hydra").generate({
      prompt: prompt + first.text,
      maxNewTokens: 10,
    });
    expect(continued.stats.reusedTokens).toBeGreaterThan(20);
  });

  it("may be left in the middle of a stream", async () => {
    for await (const chunk of model("hydra").stream({ prompt, maxNewTokens: 100 })) {
      if (chunk.tokens.length > 0) break;
    }
    expect((await model("hydra").generate({ prompt, maxNewTokens: 5 })).tokens).toHaveLength(5);
  });

  it("refuses work after it was disposed, with a reason", async () => {
    const short = await loadModel(base);
    await short.dispose();
    await short.dispose();
    await expect(short.generate({ prompt })).rejects.toMatchObject({ code: "generate/disposed" });
  });

  it("tells a running call that the model was disposed", async () => {
    const short = await loadModel(base);
    const running = short.generate({ prompt, maxNewTokens: 900, ignoreEos: true });
    setTimeout(() => void short.dispose(), 20);
    await expect(running).rejects.toMatchObject({ code: "generate/disposed" });
  });

  it("gives the same tokens on any number of threads", async () => {
    const results: number[][] = [];
    for (const threads of [1, 2, 3]) {
      const loaded = await loadModel(base, { heads: headsOf("hydra"), threads });
      results.push([
        ...(await loaded.generate({ prompt, maxNewTokens: 40, tree: "mc_sim_7b_63" })).tokens,
      ]);
      await loaded.dispose();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});
