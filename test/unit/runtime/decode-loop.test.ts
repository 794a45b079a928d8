import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DecodeStep, decode } from "../../../runtime/decode-loop.ts";
import { Decoder } from "../../../runtime/decoder.ts";
import type { LoadedWeights } from "../../../runtime/executor.ts";
import { InterpreterExecutor } from "../../../runtime/interpreter-executor.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import { rootOnly, type TreeTopology } from "../../../src/speculation/tree.ts";
import { fixedPolicy } from "../../../src/speculation/tree-policy.ts";
import { type GoldenRun, openGolden } from "../../helpers/golden.ts";

const greedy = { sampling: Float32Array.of(0, 0, 1, 0, 1, 0, 0), seed: 0n };
let golden: Awaited<ReturnType<typeof openGolden>>;
let weights: LoadedWeights;
let run: GoldenRun;

beforeAll(async () => {
  golden = await openGolden("V1-hydra-mlp");
  weights = await new InterpreterExecutor().load(golden.source);
  const [first] = golden.golden.runs;
  if (first === undefined) throw new Error("the case has runs");
  run = first;
});
afterAll(() => golden.close());

function newDecoder(contextLength = 512, prefillRows = 4): Decoder {
  const { model, drafter } = golden;
  return new Decoder(
    weights.session({ capacity: contextLength + 64 }),
    { prefill: buildPrefill(model, drafter), step: (tree) => buildStep(model, drafter, tree) },
    { contextLength, prefillRows },
  );
}

async function collect(
  decoder: Decoder,
  options: {
    maxNewTokens?: number;
    eos?: number[];
    tree?: TreeTopology;
    prompt?: readonly number[];
    signal?: AbortSignal;
  } = {},
) {
  const steps: DecodeStep[] = [];
  const { maxNewTokens = 30, eos = [], tree = golden.tree, prompt = run.prompt, signal } = options;
  for await (const step of decode(decoder, {
    ...greedy,
    prompt,
    maxNewTokens,
    eosTokenIds: new Set(eos),
    policy: fixedPolicy(tree),
    signal,
  })) {
    steps.push(step);
  }
  return { steps, tokens: steps.flatMap(({ tokens }) => tokens), finish: steps.at(-1)?.finish };
}

describe("the decode loop", () => {
  it("gives exactly the tokens asked for, though a step commits several", async () => {
    for (const maxNewTokens of [1, 2, 3, 4, 5, 17]) {
      const { tokens, finish } = await collect(newDecoder(), { maxNewTokens });
      expect(tokens).toEqual(run.ar_tokens.slice(0, maxNewTokens));
      expect(finish).toBe("length");
    }
  });

  it("ends at an end token inside an accepted path, which is the last token given out", async () => {
    // A step of the golden trace that accepts drafts; its middle token plays the end token.
    const step = run.steps.find(({ appended }) => appended.length >= 3);
    const eos = step?.appended[1] ?? -1;
    const end = run.spec_tokens.indexOf(eos);
    const { tokens, finish } = await collect(newDecoder(), { eos: [eos], maxNewTokens: 60 });
    expect(tokens).toEqual(run.ar_tokens.slice(0, end + 1));
    expect(finish).toBe("eos");
  });

  it("says eos, not length, when the end token is the last one asked for", async () => {
    const eos = run.ar_tokens[4] ?? -1;
    const count = run.ar_tokens.indexOf(eos) + 1;
    expect((await collect(newDecoder(), { eos: [eos], maxNewTokens: count })).finish).toBe("eos");
  });

  it("fills the context to its last position and no further, with shrinking trees", async () => {
    for (const extra of [1, 2, 3, 4, 5, 9]) {
      const contextLength = run.prompt.length + extra;
      const speculative = await collect(newDecoder(contextLength), { maxNewTokens: 100 });
      const plain = await collect(newDecoder(contextLength), { maxNewTokens: 100, tree: rootOnly });
      expect(speculative).toMatchObject({
        tokens: run.ar_tokens.slice(0, extra),
        finish: "context",
      });
      expect(plain).toMatchObject({ tokens: speculative.tokens, finish: "context" });
      for (const { outcome } of speculative.steps)
        expect(outcome.tree.length).toBeLessThanOrEqual(64);
    }
  });

  it("ends at once when the prompt fills the context, and refuses a longer one", async () => {
    expect(await collect(newDecoder(run.prompt.length))).toMatchObject({
      tokens: [],
      finish: "context",
    });
    await expect(collect(newDecoder(run.prompt.length - 1))).rejects.toMatchObject({
      code: "generate/prompt-too-long",
    });
    await expect(collect(newDecoder(), { prompt: [] })).rejects.toMatchObject({
      code: "generate/empty-prompt",
    });
  });

  it("stops within one step of an abort and stays usable", async () => {
    const decoder = newDecoder();
    const abort = new AbortController();
    const seen: number[] = [];
    const running = (async () => {
      for await (const step of decode(decoder, {
        ...greedy,
        prompt: run.prompt,
        maxNewTokens: 50,
        eosTokenIds: new Set(),
        policy: fixedPolicy(golden.tree),
        signal: abort.signal,
      })) {
        seen.push(...step.tokens);
        abort.abort(new Error("enough"));
      }
    })();
    await expect(running).rejects.toThrow("enough");
    expect(seen.length).toBeLessThanOrEqual(5);
    expect((await collect(decoder, { maxNewTokens: 20 })).tokens).toEqual(
      run.ar_tokens.slice(0, 20),
    );
  });

  it("aborts between the pieces of a long prompt", async () => {
    const abort = new AbortController();
    setImmediate(() => abort.abort(new Error("no prompt")));
    await expect(collect(newDecoder(512, 1), { signal: abort.signal })).rejects.toThrow(
      "no prompt",
    );
  });

  it("gives the same tokens when it reuses the caches of the text before", async () => {
    const decoder = newDecoder();
    const first = await collect(decoder, { maxNewTokens: 12 });
    const longer = [...run.prompt, ...first.tokens, 5, 6, 7];
    const fresh = await collect(newDecoder(), { prompt: longer });
    let reused = 0;
    const continued: number[] = [];
    for await (const { tokens } of decode(
      decoder,
      {
        ...greedy,
        prompt: longer,
        maxNewTokens: 30,
        eosTokenIds: new Set(),
        policy: fixedPolicy(golden.tree),
      },
      (start) => {
        reused = start.reusedTokens;
      },
    )) {
      continued.push(...tokens);
    }
    expect(reused).toBeGreaterThan(run.prompt.length);
    expect(continued).toEqual(fresh.tokens);
    // A prompt that is a part of the text held, and one that shares nothing.
    expect((await collect(decoder, { maxNewTokens: 9 })).tokens).toEqual(run.ar_tokens.slice(0, 9));
    const other = [9, 8, 7];
    expect((await collect(decoder, { prompt: other })).tokens).toEqual(
      (await collect(newDecoder(), { prompt: other })).tokens,
    );
  });

  it("does not depend on how the prompt is cut into pieces", async () => {
    const expected = run.ar_tokens.slice(0, 10);
    for (const rows of [1, 3, 64]) {
      expect((await collect(newDecoder(512, rows), { maxNewTokens: 10 })).tokens).toEqual(expected);
    }
  });
});
