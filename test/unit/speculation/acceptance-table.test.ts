import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AcceptanceEstimate,
  type AcceptanceTable,
  bestTree,
  expectedTokens,
  priorAcceptance,
} from "../../../src/speculation/acceptance-table.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, treeFromPaths } from "../../../src/speculation/tree.ts";
import { arbitraryTree, fixed } from "./arbitrary-tree.ts";

const table: AcceptanceTable = [
  [0.6, 0.2, 0.1],
  [0.5, 0.25],
];

/** Acceptance tables whose rows fall with the rank, as rows of a distribution's largest entries. */
const fallingTable = fc.array(
  fc
    .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 })
    .map((row) => {
      const total = row.reduce((sum, value) => sum + value, 0.1);
      return row.map((value) => value / total).sort((a, b) => b - a);
    }),
  { minLength: 1, maxLength: 4 },
);

describe("expected tokens", () => {
  test("are 1 for plain decoding", () => {
    expect(expectedTokens(rootOnly, table)).toBe(1);
  });

  test("add up the products along the paths", () => {
    const tree = treeFromPaths([[0], [1], [0, 0], [0, 1], [1, 0]]);
    expect(expectedTokens(tree, table)).toBeCloseTo(1 + 0.6 + 0.2 + 0.3 + 0.15 + 0.1, 12);
    expect(expectedTokens(tree, table, 1)).toBeCloseTo(1.8, 12);
    expect(expectedTokens(tree, table, 0)).toBe(1);
  });

  test("count nothing beyond the table", () => {
    expect(expectedTokens(treeFromPaths([[0], [5], [0, 0], [0, 0, 0]]), table)).toBeCloseTo(1.9);
  });
});

describe("the best tree", () => {
  test("takes the most probable places first", () => {
    const orders = [1, 2, 3, 4].map((nodes) => bestTree(table, nodes).paths.slice(1));
    expect(orders).toEqual([[[0]], [[0], [0, 0]], [[0], [1], [0, 0]], [[0], [1], [0, 0], [0, 1]]]);
  });

  test("is as good as the best of all trees of its size, by exhaustive search", () => {
    const small = fallingTable.map((rows) => rows.slice(0, 3).map((row) => row.slice(0, 3)));
    fc.assert(
      fc.property(small, fc.integer({ min: 1, max: 5 }), (rows, nodes) => {
        const best = expectedTokens(bestTree(rows, nodes), rows);
        let most = 0;
        const grow = (paths: (readonly number[])[], open: (readonly number[])[]): void => {
          most = Math.max(most, expectedTokens(treeFromPaths(paths), rows));
          if (paths.length === nodes) return;
          for (const [index, path] of open.entries()) {
            const children = (rows[path.length] ?? []).map((_, rank) => [...path, rank]);
            grow([...paths, path], [...open.slice(index + 1), ...children]);
          }
        };
        grow(
          [],
          (rows[0] ?? []).map((_, rank) => [rank]),
        );
        expect(best).toBeCloseTo(most, 10);
      }),
      fixed(60),
    );
  });

  test("holds the best tree of every smaller size, ranks contiguous, expanded children first", () => {
    fc.assert(
      fc.property(fallingTable, fc.integer({ min: 1, max: 40 }), (rows, nodes) => {
        const tree = bestTree(rows, nodes);
        const keys = new Set(tree.paths.map((path) => path.join(".")));
        for (const path of bestTree(rows, nodes - 1).paths) expect(keys).toContain(path.join("."));
        for (let node = 0; node < tree.size; node++) {
          const children = tree.children(node);
          expect(children.map((child) => tree.ranks[child])).toEqual(children.map((_, i) => i));
          const expanded = children.map((child) => tree.children(child).length > 0);
          expect(expanded).toEqual(expanded.toSorted((a, b) => Number(b) - Number(a)));
        }
      }),
      fixed(),
    );
  });

  test("keeps the limits, and leaves out what is never accepted", () => {
    const tree = bestTree(priorAcceptance(5), 60, { maxDepth: 3, maxChildren: 4 });
    expect(tree.size).toBe(61);
    expect(tree.maxDepth).toBe(3);
    expect(Math.max(...tree.ranks)).toBe(3);
    expect(bestTree([[0.5, 0]], 10).paths).toEqual([[], [0]]);
  });

  test("treats a rank that does better than the one before as equal to it", () => {
    expect(bestTree([[0.2, 0.6]], 2).paths).toEqual([[], [0], [1]]);
    expect(bestTree([[0.2, 0.6]], 1).paths).toEqual([[], [0]]);
    expect(bestTree([[0.2, 0.6], [0.5]], 3).paths).toEqual([[], [0], [1], [0, 0]]);
  });

  test("has as much value as the published tree of its size under a plausible table", () => {
    const prior = priorAcceptance(4);
    const published = expectedTokens(namedTree("mc_sim_7b_63"), prior);
    expect(expectedTokens(bestTree(prior, 63), prior)).toBeGreaterThanOrEqual(published);
  });

  test("refuses budgets and tables that make no sense", () => {
    expect(() => bestTree(table, -1)).toThrow(expect.objectContaining({ code: "tree/budget" }));
    expect(() => bestTree(table, 2000)).toThrow(expect.objectContaining({ code: "tree/budget" }));
    expect(() => bestTree([[1.5]], 1)).toThrow(
      expect.objectContaining({ code: "tree/acceptance" }),
    );
    expect(() => bestTree([[Number.NaN]], 1)).toThrow("Acceptance at depth 0, rank 0 is NaN");
  });
});

describe("the acceptance estimate", () => {
  test("moves drafted ranks of accepted nodes and nothing else", () => {
    const estimate = new AcceptanceEstimate(table, 0.5);
    const tree = treeFromPaths([[0], [1], [0, 0], [1, 0]]);
    estimate.observe(tree, [0, 2]);
    const [first, second] = estimate.table;
    expect(first?.[0]).toBeCloseTo(0.3, 12);
    expect(first?.[1]).toBeCloseTo(0.6, 12);
    expect(first?.[2]).toBe(0.1);
    expect(second?.[0]).toBeCloseTo(0.25, 12);
    expect(second?.[1]).toBe(0.25);
  });

  test("weighs the prior as ten trials before it starts to forget", () => {
    const estimate = new AcceptanceEstimate([[0.5]], 0.01);
    const tree = treeFromPaths([[0]]);
    for (let trial = 0; trial < 10; trial++) estimate.observe(tree, [0, 1]);
    expect(estimate.table[0]?.[0]).toBeCloseTo(0.75, 12);
    for (let trial = 0; trial < 80; trial++) estimate.observe(tree, [0]);
    expect(estimate.table[0]?.[0]).toBeCloseTo(0.15, 12);
    estimate.observe(tree, [0, 1]);
    expect(estimate.table[0]?.[0]).toBeCloseTo(0.15 + 0.01 * 0.85, 3);
  });

  test("grows where the tree is larger than the prior", () => {
    const estimate = new AcceptanceEstimate([], 0.5);
    estimate.observe(treeFromPaths([[0], [2], [2, 0]]), [0, 2, 3]);
    expect(estimate.table).toEqual([[0, 0, 0.5], [0.5]]);
  });

  test("leaves the prior alone", () => {
    const prior = [[0.5]];
    new AcceptanceEstimate(prior).observe(treeFromPaths([[0]]), [0]);
    expect(prior).toEqual([[0.5]]);
  });

  test("stays a table of exclusive probabilities", () => {
    fc.assert(
      fc.property(arbitraryTree(20), fc.array(fc.nat(100), { maxLength: 50 }), (tree, picks) => {
        const estimate = new AcceptanceEstimate(priorAcceptance(8, 6), 0.2);
        for (const pick of picks) {
          const path: number[] = [];
          for (let at = pick % tree.size; at >= 0; at = tree.parents[at] ?? -1) path.unshift(at);
          estimate.observe(tree, path);
        }
        for (const row of estimate.table) {
          expect(row.every((p) => p >= 0 && p <= 1)).toBe(true);
        }
      }),
      fixed(50),
    );
  });
});
