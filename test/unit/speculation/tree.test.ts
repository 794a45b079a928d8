import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkDepth,
  checkRanks,
  maxTreeNodes,
  rootOnly,
  truncateDepth,
  treeFromPaths,
} from "../../../src/speculation/tree.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { arbitraryPaths, arbitraryTree, fixed } from "./arbitrary-tree.ts";

function ancestorsOf(parents: Int32Array, node: number): number[] {
  const found: number[] = [];
  for (let at = node; at >= 0; at = parents[at] ?? -1) found.unshift(at);
  return found;
}

describe("a tree from paths", () => {
  test("numbers nodes by length, then path, after the root", () => {
    const tree = treeFromPaths([[1], [0, 2], [0], [0, 0]], "t");
    expect(tree.paths).toEqual([[], [0], [1], [0, 0], [0, 2]]);
    expect(Array.from(tree.parents)).toEqual([-1, 0, 0, 1, 1]);
    expect(Array.from(tree.depths)).toEqual([0, 1, 1, 2, 2]);
    expect(Array.from(tree.ranks)).toEqual([0, 0, 1, 0, 2]);
    expect(tree.levels).toEqual([[0], [1, 2], [3, 4]]);
    expect(tree.children(1)).toEqual([3, 4]);
    expect(tree.expandedNodes(1)).toEqual([1]);
    expect(tree).toMatchObject({ size: 5, maxDepth: 2, name: "t" });
  });

  test("sorts ranks as numbers, not as text", () => {
    expect(treeFromPaths([[10], [9], [2]]).paths).toEqual([[], [2], [9], [10]]);
  });

  test("of no paths is plain decoding", () => {
    expect(treeFromPaths([]).key).toBe(rootOnly.key);
    expect(rootOnly).toMatchObject({ size: 1, maxDepth: 0 });
    expect(rootOnly.retrieveIndices).toEqual([[0]]);
    expect(rootOnly.maxAccepts).toEqual([0]);
    expect(Array.from(rootOnly.ancestorMask())).toEqual([1n]);
  });

  test("does not keep the caller's arrays", () => {
    const path = [0];
    const tree = treeFromPaths([path]);
    path[0] = 7;
    expect(tree.paths[1]).toEqual([0]);
  });

  test.each([
    ["an empty path", [[0], []], "tree/empty-path"],
    ["a negative rank", [[-1]], "tree/bad-rank"],
    ["a fractional rank", [[0.5]], "tree/bad-rank"],
    ["a rank that is not a number", [[Number.NaN]], "tree/bad-rank"],
    ["a path given twice", [[0], [1], [0]], "tree/duplicate-path"],
    ["a path without its parent", [[0], [1, 0]], "tree/missing-parent"],
    ["a path deeper than the limit", [Array<number>(65).fill(0)], "tree/too-deep"],
    ["too many nodes", Array.from({ length: maxTreeNodes }, (_, i) => [i]), "tree/too-many-nodes"],
  ])("rejects %s", (_, paths, code) => {
    expect(() => treeFromPaths(paths, "t", "t.json")).toThrow(
      expect.objectContaining({ code, path: "t.json" }),
    );
  });

  test("may be as large as the limit", () => {
    const paths = Array.from({ length: maxTreeNodes - 1 }, (_, i) => [i]);
    expect(treeFromPaths(paths).size).toBe(maxTreeNodes);
  });

  test("has every parent before its children, one depth up, with the rest of the path", () => {
    fc.assert(
      fc.property(arbitraryTree(), (tree) => {
        for (let node = 1; node < tree.size; node++) {
          const parent = tree.parents[node] ?? -1;
          expect(parent).toBeLessThan(node);
          expect(tree.paths[parent]).toEqual(tree.paths[node]?.slice(0, -1));
          expect(tree.children(parent)).toContain(node);
        }
        expect(tree.levels.flat()).toEqual(Array.from({ length: tree.size }, (_, i) => i));
      }),
      fixed(),
    );
  });

  test("does not depend on the order of the paths", () => {
    const pair = arbitraryPaths().chain((paths) =>
      fc.tuple(fc.constant(paths), fc.shuffledSubarray([...paths], { minLength: paths.length })),
    );
    fc.assert(
      fc.property(pair, ([paths, shuffled]) => {
        const [a, b] = [treeFromPaths(paths), treeFromPaths(shuffled)];
        expect(b.key).toBe(a.key);
        expect(b.parents).toEqual(a.parents);
      }),
      fixed(),
    );
  });

  test("has a key that tells shapes apart", () => {
    fc.assert(
      fc.property(arbitraryTree(8), arbitraryTree(8), (a, b) => {
        expect(a.key === b.key).toBe(JSON.stringify(a.paths) === JSON.stringify(b.paths));
      }),
      fixed(300),
    );
  });
});

describe("the ancestor mask", () => {
  test("shows a node itself, its ancestors and nothing else", () => {
    fc.assert(
      fc.property(arbitraryTree(150), fc.nat(2), (tree, spare) => {
        const words = Math.ceil(tree.size / 64) + spare;
        const mask = tree.ancestorMask(words);
        expect(mask.length).toBe(tree.size * words);
        for (let node = 0; node < tree.size; node++) {
          const seen: number[] = [];
          for (let other = 0; other < 64 * words; other++) {
            const word = mask[node * words + (other >> 6)] ?? 0n;
            if ((word >> BigInt(other & 63)) & 1n) seen.push(other);
          }
          expect(seen).toEqual(ancestorsOf(tree.parents, node));
        }
      }),
      fixed(40),
    );
  });

  test("crosses words in a tree of 300 nodes", () => {
    const chain = Array.from({ length: 60 }, (_, depth) => Array<number>(depth + 1).fill(0));
    const wide = Array.from({ length: 239 }, (_, i) => [i + 1]);
    const tree = treeFromPaths([...chain, ...wide]);
    const mask = tree.ancestorMask();
    const words = 5;
    expect(mask.length).toBe(300 * words);
    // The last node is the end of the chain: the root, node 1, and the last 59 nodes.
    expect(mask[299 * words]).toBe(0b11n);
    expect(mask[299 * words + 4]).toBe((1n << 44n) - 1n);
  });

  test("refuses too few words", () => {
    const tree = treeFromPaths(Array.from({ length: 64 }, (_, i) => [i]));
    expect(() => tree.ancestorMask(1)).toThrow(RangeError);
  });
});

describe("retrieve rows", () => {
  test("are the root-to-leaf paths, every leaf once, from the last leaf to the first", () => {
    fc.assert(
      fc.property(arbitraryTree(), (tree) => {
        const nodes = Array.from({ length: tree.size }, (_, i) => i);
        const leaves = nodes.filter((node) => !tree.parents.includes(node)).reverse();
        const rows = tree.retrieveIndices;
        expect(rows.map((row) => row.findLast((node) => node >= 0))).toEqual(leaves);
        for (const [index, row] of rows.entries()) {
          const path = ancestorsOf(tree.parents, leaves[index] ?? 0);
          expect(row.length).toBe(tree.maxDepth + 1);
          expect(row.slice(0, path.length)).toEqual(path);
          expect(row.slice(path.length).every((node) => node === -1)).toBe(true);
          expect(tree.maxAccepts[index]).toBe(path.length - 1);
        }
      }),
      fixed(),
    );
  });
});

describe("depth", () => {
  const tree = treeFromPaths([[0], [1], [0, 0], [0, 0, 0]], "deep");

  test("truncates to the nodes above it", () => {
    expect(truncateDepth(tree, 2).paths).toEqual([[], [0], [1], [0, 0]]);
    expect(truncateDepth(tree, 0).key).toBe(rootOnly.key);
    expect(truncateDepth(tree, 3)).toBe(tree);
  });

  test("may not exceed the heads", () => {
    expect(checkDepth(tree, 3)).toBe(tree);
    expect(() => checkDepth(tree, 2)).toThrow(HydrantError);
    expect(() => checkDepth(tree, 2)).toThrow('Tree "deep" is 3 deep, but there are only 2');
    expect(() => checkDepth(tree, 0)).toThrow('Tree "deep" needs draft heads');
    expect(checkDepth(rootOnly, 0)).toBe(rootOnly);
  });

  test("has no rank beyond the vocabulary", () => {
    const tree = treeFromPaths([[0], [9]], "wide");
    expect(checkRanks(tree, 10)).toBe(tree);
    expect(() => checkRanks(tree, 9)).toThrow('Tree "wide" has rank 9, but the vocabulary holds 9');
  });
});
