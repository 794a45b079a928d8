import { describe, expect, test } from "vitest";
import {
  namedTree,
  prefixTree,
  publishedPaths,
  publishedTreeNames,
} from "../../../src/speculation/named-trees.ts";
import { rootOnly } from "../../../src/speculation/tree.ts";

/** Nodes per depth, as published. */
const depthCounts: Record<string, readonly number[]> = {
  mc_sim_7b_63: [10, 28, 23, 2],
  vicuna_7b_stage1: [10, 32, 20, 1],
  vicuna_7b_stage2: [10, 23, 23, 7],
  vicuna_13b_stage2: [10, 19, 25, 9],
  vicuna_33b_stage2: [10, 24, 24, 5],
  zephyr_stage2: [10, 27, 23, 3],
};

describe("a tree by name", () => {
  test.each(publishedTreeNames)("%s has the published number of nodes per depth", (name) => {
    const tree = namedTree(name);
    expect(tree.size).toBe(64);
    expect(tree.levels.slice(1).map((level) => level.length)).toEqual(depthCounts[name]);
    expect(tree.name).toBe(name);
  });

  test.each(publishedTreeNames)("%s has contiguous ranks and expanded children first", (name) => {
    const tree = namedTree(name);
    for (let node = 0; node < tree.size; node++) {
      const children = tree.children(node);
      expect(children.map((child) => tree.ranks[child])).toEqual(children.map((_, i) => i));
      const expanded = children.map((child) => tree.children(child).length > 0);
      expect(expanded.lastIndexOf(true)).toBe(expanded.filter(Boolean).length - 1);
    }
  });

  test("none, single and chains are trees too", () => {
    expect(namedTree("none")).toBe(rootOnly);
    expect(namedTree("single").paths).toEqual([[], [0]]);
    expect(namedTree("chain-3").paths).toEqual([[], [0], [0, 0], [0, 0, 0]]);
    expect(namedTree("chain-1").key).toBe(namedTree("single").key);
  });

  test.each(["mc_sim", "chain-0", "chain-", "toString"])(
    "%s is unknown, and it says what is known",
    (name) => {
      expect(() => namedTree(name)).toThrow(
        expect.objectContaining({
          code: "tree/unknown-name",
          hint: expect.stringContaining("chain-N, mc_sim_7b_63, vicuna_7b_stage1"),
        }),
      );
    },
  );

  test("a chain beyond the depth limit is refused", () => {
    expect(() => namedTree("chain-65")).toThrow(expect.objectContaining({ code: "tree/too-deep" }));
  });
});

describe("a prefix of a published tree", () => {
  test.each(publishedTreeNames)("of %s is a tree at every length", (name) => {
    for (let nodes = 0; nodes <= 63; nodes++) expect(prefixTree(name, nodes).size).toBe(nodes + 1);
    expect(prefixTree(name, 63).key).toBe(namedTree(name).key);
  });

  test("takes the paths in published order", () => {
    expect(publishedPaths("mc_sim_7b_63").slice(0, 4)).toEqual([[0], [0, 0], [1], [0, 1]]);
    expect(prefixTree("mc_sim_7b_63", 3).paths).toEqual([[], [0], [1], [0, 0]]);
  });

  test("cannot be longer than the tree", () => {
    expect(() => prefixTree("mc_sim_7b_63", 64)).toThrow(
      expect.objectContaining({ code: "tree/prefix" }),
    );
    expect(() => prefixTree("single", 1)).toThrow(
      expect.objectContaining({ code: "tree/unknown-name" }),
    );
  });
});
