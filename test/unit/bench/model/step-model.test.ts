import { beforeAll, describe, expect, it } from "vitest";
import { analyseStep, boundOf, type StepAnalysis } from "../../../../bench/model/analyse-step.ts";
import { compareSteps } from "../../../../bench/model/compare-steps.ts";
import { dependencyDepths } from "../../../../bench/model/dependency-depth.ts";
import { partsTable, summary } from "../../../../bench/model/tables.ts";

/* Vicuna 7B by hand: 32 layers, hidden 4096, MLP 11008, vocabulary 32000, bf16. */
const hidden = 4096;
const matrix = 2 * hidden * hidden;
const mlp = 2 * hidden * 11008;
const lmHead = 2 * 32000 * hidden;
const context = 512;

describe("the model of a step of vicuna-7b", () => {
  let tree: StepAnalysis;
  let plain: StepAnalysis;
  beforeAll(async () => {
    tree = await analyseStep({ shape: "vicuna-7b", context });
    plain = await analyseStep({ shape: "vicuna-7b", heads: "none", context });
  });

  const part = ({ parts }: StepAnalysis, phase: string, name: string) => {
    const found = parts.find((one) => one.phase === phase && one.name === name);
    if (found === undefined) throw new Error(`no ${phase} ${name}`);
    return found;
  };

  it("counts the weights of every product once", () => {
    for (const step of [tree, plain]) {
      expect(part(step, "verify", "q_proj").weightBytes).toBe(32 * 3 * matrix);
      expect(part(step, "verify", "o_proj").weightBytes).toBe(32 * matrix);
      expect(part(step, "verify", "gate_proj").weightBytes).toBe(32 * 2 * mlp);
      expect(part(step, "verify", "down_proj").weightBytes).toBe(32 * mlp);
      expect(part(step, "verify", "lm_head").weightBytes).toBe(lmHead);
    }
    // 13.2 GB; gains of norms and rows of the embedding are less than a thousandth of it.
    const base = 32 * (4 * matrix + 3 * mlp) + lmHead;
    expect(plain.total.weightBytes / base).toBeCloseTo(1, 3);
    expect(base).toBe(13_214_154_752);
  });

  it("counts a head's weights by its depth: two matrices of depth + 2 hidden vectors, three of one, an LM head", () => {
    for (const depth of [1, 2, 3, 4]) {
      const weights = 2 * (depth + 1) * matrix + 3 * matrix + lmHead;
      expect(part(tree, "draft", `depth ${depth}`).weightBytes).toBe(weights);
      expect(part(tree, "draft", `depth ${depth}`).depth).toBe(7);
    }
  });

  it("counts keys and values at the context, not at the capacity", () => {
    expect(part(tree, "verify", "attention").cacheBytes).toBe(2 * 32 * (context + 64) * hidden * 2);
    expect(part(plain, "verify", "attention").cacheBytes).toBe(2 * 32 * (context + 1) * hidden * 2);
  });

  it("counts two operations for each weight and row", () => {
    expect(part(tree, "verify", "down_proj").flops).toBe(2 * 64 * 32 * hidden * 11008);
    expect(part(plain, "verify", "down_proj").flops).toBe(2 * 32 * hidden * 11008);
  });

  it("has five launches to a layer, all in one chain", () => {
    expect(plain.total).toMatchObject({ launches: 5 * 32 + 4, depth: 5 * 32 + 4 });
    expect(tree.total.launches).toBe(201);
    // What commits the caches reads nothing that what comes after it needs.
    expect(tree.total.depth).toBeLessThan(tree.total.launches);
  });

  it("takes each launch's bytes at the bandwidth, and no less than the gap", () => {
    const { bandwidth, launchGap } = tree.gpu;
    const { weightBytes, otherBytes, time } = part(plain, "verify", "lm_head");
    expect(time).toBeCloseTo((1e6 * (weightBytes + otherBytes)) / bandwidth, 6);
    expect(part(plain, "publish", "finish").time).toBe(launchGap);
    expect(boundOf(part(plain, "publish", "finish"), plain.gpu)).toBe("launch");
    expect(boundOf(part(tree, "verify", "down_proj"), tree.gpu)).toBe("memory");
  });

  it("compares the two: the ratio of their times, tokens a second at the given acceptance", () => {
    const comparison = compareSteps(plain, tree, 3.7);
    expect(comparison.byteRatio).toBeCloseTo(1.21, 2);
    expect(comparison.ratio).toBeGreaterThan(comparison.byteRatio);
    expect(comparison.ratio).toBeLessThan(1.25);
    expect(comparison.verifyRatio).toBeLessThan(1.08);
    expect(comparison.tokensPerSecond.tree).toBeCloseTo(3.7e6 / tree.total.time, 6);
    const [first, ...rows] = partsTable(comparison).rows;
    expect(first?.[0]?.text).toBe("draft");
    expect(rows.at(-1)?.map(({ text }) => text)[1]).toBe("201");
    expect(summary(comparison)).toContain("at 3.7 tokens a step (assumed)");
  });

  it("takes measured limits in place of the published ones", async () => {
    const limits = { bandwidth: 2.4e12, launchGap: 3 };
    const slower = await analyseStep({ shape: "vicuna-7b", heads: "none", context, limits });
    const lm = part(slower, "verify", "lm_head");
    expect(lm.time).toBeCloseTo(2 * part(plain, "verify", "lm_head").time, 6);
    expect(part(slower, "publish", "finish").time).toBe(3);
  });
});

describe("the depth of launches", () => {
  const scratch = [0, 1, 2, 3].map(() => ({ kind: "scratch" as const }));
  const launch = (reads: readonly number[], writes: readonly number[]) => ({
    args: [
      { name: "in", type: "table", access: "read" as const, buffers: reads },
      { name: "out", type: "table", access: "write" as const, buffers: writes },
    ],
  });

  it("grows along what one launch reads of another's", () => {
    const launches = [launch([], [0]), launch([], [1]), launch([0, 1], [2]), launch([2], [3])];
    expect(dependencyDepths(launches, scratch)).toEqual([1, 1, 2, 3]);
  });

  it("does not grow by counters, nor by memory that is written anew", () => {
    const counters = [{ kind: "counter" as const }, ...scratch.slice(1)];
    expect(dependencyDepths([launch([], [0]), launch([0], [1])], counters)).toEqual([1, 1]);
    expect(dependencyDepths([launch([], [0]), launch([], [0])], scratch)).toEqual([1, 1]);
  });
});
