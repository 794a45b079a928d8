import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuExecutor } from "../../../runtime/cpu/executor.ts";
import { decode } from "../../../runtime/decode-loop.ts";
import { Decoder } from "../../../runtime/decoder.ts";
import { RankMeter } from "../../../src/api/rank-meter.ts";
import { weightGraphs } from "../../../src/api/weight-graphs.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import { replay } from "../../../src/speculation/rank-record.ts";
import { fixedPolicy } from "../../../src/speculation/tree-policy.ts";
import { rootOnly, type TreePath, treeFromPaths } from "../../../src/speculation/tree.ts";
import { randomWeights } from "../../helpers/memory-weights.ts";
import { Random } from "../../helpers/random.ts";
import {
  type DrafterKind,
  drafterKinds,
  drafterOf,
  randomModel,
} from "../../helpers/random-model.ts";

const greedy = { sampling: Float32Array.of(0, 0, 1, 0, 1, 0, 0), seed: 0n };
const contextLength = 60;
/** Wide, so that heads of random weights are right now and then. */
const tree = treeFromPaths(
  Array.from({ length: 10 }, (_, a): TreePath[] => [
    [a],
    ...Array.from({ length: 6 }, (_, b) => [a, b]),
    ...Array.from({ length: 4 }, (_, c) => [a, 0, c]),
  ]).flat(),
);

let executor: CpuExecutor;
beforeAll(async () => {
  executor = await CpuExecutor.create({ threads: 1 });
});
afterAll(() => executor.dispose());

/** A model of random weights, the text it writes, and the steps a tree takes it through. */
async function example(kind: DrafterKind, seed: number) {
  const random = new Random(seed);
  const base = randomModel(random);
  const drafter = drafterOf(kind, base);
  const weights = await executor.load(randomWeights(weightGraphs(base, drafter), random));
  const prompt = Array.from({ length: 5 }, () => random.int(0, base.config.vocabSize - 1));
  const run = async (shape: typeof tree) => {
    const decoder = new Decoder(
      weights.session({ capacity: contextLength + tree.size }),
      {
        prefill: buildPrefill(base, drafter),
        step: (each) => buildStep(base, drafter, each),
      },
      { contextLength, prefillRows: 4 },
    );
    const tokens: number[] = [];
    const committed: number[] = [];
    const options = { ...greedy, prompt, maxNewTokens: 40, eosTokenIds: new Set<number>() };
    for await (const step of decode(decoder, { ...options, policy: fixedPolicy(shape) })) {
      tokens.push(...step.tokens);
      committed.push(step.outcome.committed.length);
    }
    decoder.dispose();
    return { tokens, committed };
  };
  return { parts: { base, drafter, weights, contextLength, prefillRows: 4 }, prompt, run };
}

// Siblings see each other in the original eagle mask, so what it proposes depends on the tree.
const kinds = drafterKinds.filter((kind) => kind !== "eagle-attn-reference");

describe("ranks of a text's tokens", () => {
  it.each(kinds)("replay to the steps that decoding takes, with %s heads", async (kind) => {
    let drafts = 0;
    for (const seed of [1, 2, 3, 4]) {
      const { parts, prompt, run } = await example(kind, seed);
      const { tokens } = await run(rootOnly);
      const meter = new RankMeter(parts, { depths: 3 });
      const record = await meter.measure(prompt, tokens);
      meter.dispose();
      const decoded = await run(tree);
      expect(decoded.tokens).toEqual(tokens);
      const { steps, committed } = replay(tree, record);
      expect(steps).toBe(decoded.committed.length);
      expect(committed).toEqual(decoded.committed.slice(0, committed.length));
      drafts += decoded.tokens.length - decoded.committed.length;
      await parts.weights.dispose();
    }
    // Or the test would only say that nothing was ever guessed.
    expect(drafts).toBeGreaterThan(8);
  });

  it("are the same however often they are measured, and whatever came before", async () => {
    const { parts, prompt, run } = await example("hydra++", 5);
    const { tokens } = await run(rootOnly);
    const meter = new RankMeter(parts, {});
    const once = await meter.measure(prompt, tokens);
    await meter.measure([1, 2, 3], [4, 5, 6]);
    expect(await meter.measure(prompt, tokens)).toEqual(once);
    expect(once.map((row) => row.length).slice(-5)).toEqual([4, 3, 2, 1, 0]);
    meter.dispose();
    await parts.weights.dispose();
  });

  it("depend on the text above them only where the heads look at it", async () => {
    for (const [kind, looks] of [
      ["hydra", true],
      ["medusa", false],
    ] as const) {
      const { parts, prompt, run } = await example(kind, 6);
      const { tokens } = await run(rootOnly);
      const meter = new RankMeter(parts, { depths: 2, ranks: parts.base.config.vocabSize });
      const [root = 0, , second = 0] = tokens;
      const ranks = new Set<number | undefined>();
      for (let token = 0; token < 12; token++) {
        const [row] = await meter.measure(prompt, [root, token, second]);
        ranks.add(row?.[1]);
      }
      if (looks) expect(ranks.size).toBeGreaterThan(1);
      else expect(ranks.size).toBe(1);
      meter.dispose();
      await parts.weights.dispose();
    }
  });

  it("need heads, and no more depths than these have", async () => {
    const { parts, prompt } = await example("medusa", 7);
    const code = (make: () => unknown) => {
      try {
        make();
      } catch (error) {
        return error instanceof Error && "code" in error ? error.code : error;
      }
      return "none";
    };
    expect(code(() => new RankMeter({ ...parts, drafter: noDrafter() }, {}))).toBe(
      "ranks/no-heads",
    );
    expect(code(() => new RankMeter(parts, { depths: 5 }))).toBe("ranks/options");
    expect(code(() => new RankMeter(parts, { ranks: 0 }))).toBe("ranks/options");
    expect(code(() => new RankMeter(parts, { ranks: 1000 }))).toBe("ranks/options");
    const meter = new RankMeter(parts, {});
    await expect(meter.measure([], [1])).rejects.toMatchObject({ code: "ranks/length" });
    const long = Array<number>(contextLength).fill(1);
    await expect(meter.measure(prompt, long)).rejects.toMatchObject({ code: "ranks/length" });
    meter.dispose();
    await parts.weights.dispose();
  });
});
