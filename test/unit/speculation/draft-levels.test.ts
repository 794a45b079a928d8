import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  candidateIndices,
  draftLevels,
  proposalMask,
} from "../../../src/speculation/draft-levels.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, treeFromPaths } from "../../../src/speculation/tree.ts";
import { arbitraryTree, fixed } from "./arbitrary-tree.ts";

interface GoldenTree {
  readonly choices: number[][];
  readonly num_nodes: number;
  readonly attn_mask: number[][];
  readonly tree_indices: number[];
  readonly position_ids: number[];
  readonly retrieve_indices: number[][];
  readonly max_accepts: number[];
  readonly beam_sizes: number[];
  readonly children_per_head: number[][];
  readonly children_to_expand_per_head: number[][];
  readonly proposal_cross_attn_masks: number[][][];
}

const fixture = new URL("../../fixtures/golden/V6-buffers-typical/buffers.json", import.meta.url);
const { trees } = JSON.parse(readFileSync(fixture, "utf8")) as {
  trees: Record<string, GoldenTree>;
};

describe.each(Object.entries(trees))("the original's buffers of %s", (name, golden) => {
  const tree = treeFromPaths(golden.choices, name);
  const levels = draftLevels(tree);

  test("agree on nodes, positions and mask", () => {
    expect(tree.size).toBe(golden.num_nodes);
    expect(Array.from(tree.depths)).toEqual(golden.position_ids);
    const mask = tree.ancestorMask(1);
    const bits = Array.from(mask, (row) =>
      Array.from({ length: tree.size }, (_, node) => Number((row >> BigInt(node)) & 1n)),
    );
    expect(bits).toEqual(golden.attn_mask);
  });

  test("agree on the candidate rows", () => {
    expect(tree.retrieveIndices).toEqual(golden.retrieve_indices);
    expect(tree.maxAccepts).toEqual(golden.max_accepts);
  });

  test("agree on what every head proposes and expands", () => {
    expect(levels.map(({ beam }) => beam)).toEqual(golden.beam_sizes);
    expect(levels.map((level) => Array.from(level.childCounts))).toEqual(golden.children_per_head);
    expect(levels.map((level) => Array.from(level.expandedChildCounts))).toEqual(
      golden.children_to_expand_per_head,
    );
    expect(Array.from(candidateIndices(tree, 10))).toEqual(golden.tree_indices);
  });

  test("agree on the masks of the attention heads", () => {
    const masks = levels.map(({ depth }) => proposalMask(tree, depth));
    expect(masks).toEqual(golden.proposal_cross_attn_masks);
  });
});

describe("draft levels", () => {
  test("of a published tree are those of its golden buffers", () => {
    const golden = trees.vicuna_7b_stage2;
    expect(namedTree("vicuna_7b_stage2").key).toBe(treeFromPaths(golden?.choices ?? []).key);
  });

  test("of plain decoding are none", () => {
    expect(draftLevels(rootOnly)).toEqual([]);
  });

  test("lead from every node to its parent, also with skipped ranks", () => {
    fc.assert(
      fc.property(arbitraryTree(), (tree) => {
        const levels = draftLevels(tree);
        expect(levels.flatMap((level) => Array.from(level.children))).toEqual(
          Array.from({ length: tree.size - 1 }, (_, i) => i + 1),
        );
        for (const [depth, level] of levels.entries()) {
          for (const [index, child] of level.children.entries()) {
            expect(level.expanded[level.parentRows[index] ?? -1]).toBe(tree.parents[child]);
            expect(level.ranks[index]).toBeLessThan(level.beam);
          }
          for (const [row, node] of level.expanded.entries()) {
            const above = levels[depth - 1]?.expanded[level.expandedParentRows[row] ?? -1] ?? -1;
            expect(above).toBe(tree.parents[node]);
          }
        }
      }),
      fixed(),
    );
  });

  test("cannot be indexed with fewer candidates than the tree's ranks", () => {
    expect(() => candidateIndices(treeFromPaths([[10]]), 10)).toThrow(RangeError);
  });
});
