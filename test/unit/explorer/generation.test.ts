import { describe, expect, it } from "vitest";
import { inspectedTree } from "../../../src/api/inspected-tree.ts";
import { paragraphsOf, shownTokens } from "../../../src/explorer/generation/paragraphs.ts";
import { generationStatistics, stepEnd } from "../../../src/explorer/generation/statistics.ts";
import {
  shortLabel,
  tokenLabel,
  visibleText,
} from "../../../src/explorer/generation/visible-text.ts";
import type {
  RecordedGeneration,
  RecordedStep,
} from "../../../src/inspection/recorded-generation.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, treeFromPaths } from "../../../src/speculation/tree.ts";

/** Nodes: 1 is rank 0, 2 is rank 1, 3 is rank 0 below 1, 4 is rank 2 below 1. */
const small = treeFromPaths([[0], [1], [0, 0], [0, 2]], "small");

function recording(
  steps: readonly Partial<RecordedStep>[],
  trees = [small, rootOnly],
): RecordedGeneration {
  return {
    version: "0.0.0",
    made: "2026-01-01T00:00:00.000Z",
    model: "m",
    method: "hydra",
    device: "cpu",
    sampling: [],
    promptTokens: 3,
    reusedTokens: 0,
    finishReason: "length",
    prefillMs: 5,
    decodeMs: 50,
    trees: trees.map(inspectedTree),
    texts: { "1": " a", "2": "\n" },
    steps: steps.map((step) => ({
      tree: 0,
      tokens: [1, 2, 3, 4, 5],
      path: [0],
      given: step.path?.length ?? 1,
      ms: 10,
      ...step,
    })),
  };
}

describe("statistics of a generation", () => {
  const generation = recording([
    { path: [0, 1, 4] },
    { path: [0, 1, 3], given: 2 },
    { path: [0, 1] },
    { path: [0, 2] },
    { path: [0] },
    { path: [0], tree: 1, tokens: [1] },
  ]);
  const statistics = generationStatistics(generation);

  it("counts tokens by step and what ended the steps", () => {
    expect(statistics).toMatchObject({ steps: 6, committed: 12, given: 11, accepted: 6 });
    expect(statistics.lengths).toEqual([
      { tokens: 1, rejected: 1, exhausted: 1 },
      { tokens: 2, rejected: 1, exhausted: 1 },
      { tokens: 3, rejected: 0, exhausted: 2 },
    ]);
    expect(generation.steps.map((step) => stepEnd(generation, step))).toEqual([
      "exhausted",
      "exhausted",
      "rejected",
      "exhausted",
      "rejected",
      "none",
    ]);
  });

  it("counts drafts by depth and rank, of steps that had one there", () => {
    expect(statistics.depths).toEqual([
      {
        depth: 1,
        reached: 5,
        accepted: 4,
        ranks: [
          { rank: 0, offered: 5, accepted: 3 },
          { rank: 1, offered: 5, accepted: 1 },
        ],
      },
      {
        depth: 2,
        reached: 3,
        accepted: 2,
        ranks: [
          { rank: 0, offered: 3, accepted: 1 },
          { rank: 2, offered: 3, accepted: 1 },
        ],
      },
    ]);
    expect(statistics.ranks).toEqual([
      { rank: 0, offered: 8, accepted: 4 },
      { rank: 1, offered: 5, accepted: 1 },
      { rank: 2, offered: 3, accepted: 1 },
    ]);
  });

  it("adds up trees and time", () => {
    expect(statistics.trees).toEqual([
      { tree: 0, name: "small", nodes: 5, steps: 5, tokens: 11, ms: 50 },
      { tree: 1, name: "none", nodes: 1, steps: 1, tokens: 1, ms: 10 },
    ]);
    // Clocks are read at different moments: the rest is never less than nothing.
    expect(statistics.time).toEqual({ prefill: 5, steps: 60, rest: 0 });
  });

  it("is fast enough for thousands of steps over the largest tree", () => {
    const chain = namedTree("chain-64");
    const path = Array.from({ length: 65 }, (_, node) => node);
    const long = recording(
      Array.from({ length: 4096 }, () => ({ path, tokens: path })),
      [chain],
    );
    const begin = performance.now();
    expect(generationStatistics(long).committed).toBe(4096 * 65);
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe("the text of a generation", () => {
  it("is parted after line ends, and shown up to a step", () => {
    const generation = recording([
      { path: [0, 1], pieces: ["a", " b\n"] },
      { path: [0, 1, 3], pieces: ["c", "\n", "d"] },
      { path: [0], pieces: [""] },
    ]);
    const paragraphs = paragraphsOf(generation);
    expect(paragraphs.map((each) => each.map(({ piece }) => piece))).toEqual([
      ["a", " b\n"],
      ["c", "\n"],
      ["d", ""],
    ]);
    expect(paragraphs.map((each) => shownTokens(each, 0))).toEqual([2, 0, 0]);
    expect(paragraphs.map((each) => shownTokens(each, 1))).toEqual([2, 2, 1]);
    expect(paragraphs[1]?.map(({ token }) => token)).toEqual([1, 2]);
  });

  it("makes every character visible", () => {
    expect(visibleText(" a\n\tb\u00a0\u200b\u0000")).toBe("·a⏎⇥b⍽⟨200B⟩␀");
    expect(visibleText("héllo 世界")).toBe("héllo·世界");
  });

  it("names tokens without text by number, and cuts long ones by columns", () => {
    const generation = recording([]);
    expect([1, 2, 99].map((id) => tokenLabel(generation, id))).toEqual(["·a", "⏎", "#99"]);
    expect(shortLabel("abcdefgh", 8)).toBe("abcdefgh");
    expect(shortLabel("abcdefghi", 8)).toBe("abcdefg…");
    expect(shortLabel("世界世界世", 8)).toBe("世界世…");
  });
});
