import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { childrenOf, treeLayout } from "../../../src/explorer/tree/tree-layout.ts";
import { neighbour, pathTo, ranksTo, treeShape } from "../../../src/explorer/tree/tree-shape.ts";
import { inspectedTree } from "../../../src/api/inspected-tree.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";

/** Parents before children, as in a draft tree, where a depth is one run of nodes. */
const trees = fc.array(fc.nat(), { minLength: 0, maxLength: 120 }).map((choices) => {
  const parents = [-1];
  for (const choice of choices) parents.push(choice % parents.length);
  return parents;
});

function depthsOf(parents: readonly number[]): number[] {
  const depths: number[] = [];
  for (const parent of parents) depths.push(parent < 0 ? 0 : (depths[parent] ?? 0) + 1);
  return depths;
}

describe("the layout of a tree", () => {
  it.each(["middle", "first"] as const)(
    "keeps nodes of a depth apart and children together, parents at the %s of them",
    (align) => {
      fc.assert(
        fc.property(trees, (parents) => {
          const depths = depthsOf(parents);
          const { rows, rowCount, columnCount } = treeLayout(parents, depths, align);
          const children = childrenOf(parents);
          expect(columnCount).toBe(Math.max(...depths) + 1);
          expect(Math.min(...rows)).toBe(0);
          expect(rowCount).toBeCloseTo(Math.max(...rows) + 1, 9);
          for (let depth = 0; depth < columnCount; depth++) {
            const column = rows.filter((_, node) => depths[node] === depth).sort((a, b) => a - b);
            for (const [index, row] of column.slice(1).entries())
              expect(row - (column[index] ?? 0)).toBeGreaterThanOrEqual(1 - 1e-9);
          }
          for (const [node, below] of children.entries()) {
            if (below.length === 0) continue;
            const [first = 0] = below;
            const last = below.at(-1) ?? 0;
            const wanted =
              align === "first" ? rows[first] : ((rows[first] ?? 0) + (rows[last] ?? 0)) / 2;
            expect(rows[node]).toBeCloseTo(wanted ?? 0, 9);
          }
        }),
        { seed: 7, numRuns: 200 },
      );
    },
  );

  it("puts leaves beside the deeper subtree of a sibling instead of below it", () => {
    // Two children: the first with three children of its own, the second with none.
    const { rowCount } = treeLayout([-1, 0, 0, 1, 1, 1], [0, 1, 1, 2, 2, 2]);
    expect(rowCount).toBe(3);
  });
});

describe("the shape of a tree", () => {
  const topology = namedTree("mc_sim_7b_63");
  const tree = inspectedTree(topology);
  const shape = treeShape(tree);

  it("counts what the topology counts", () => {
    expect(shape.size).toBe(topology.size);
    expect(shape.levels.map(({ nodes }) => nodes)).toEqual(topology.levels);
    expect(shape.levels.map(({ expanded }) => expanded)).toEqual(
      topology.levels.map((_, depth) => topology.expandedNodes(depth).length),
    );
    expect(shape.leaves).toBe(topology.maxAccepts.length);
    const bits = topology.ancestorMask().reduce((sum, word) => sum + bitCount(word), 0);
    expect(shape.visiblePairs).toBe(bits);
  });

  it("knows a node's path and its neighbours", () => {
    const { rows } = treeLayout(tree.parents, tree.depths);
    for (const [node, path] of topology.paths.entries()) {
      expect(ranksTo(tree, node)).toEqual(path);
      expect(pathTo(tree, node).at(-1)).toBe(node);
      const right = neighbour(tree, shape, rows, node, "ArrowRight");
      expect(right).toBe(topology.children(node)[0] ?? node);
      const down = neighbour(tree, shape, rows, node, "ArrowDown");
      if (down !== node) expect(neighbour(tree, shape, rows, down, "ArrowUp")).toBe(node);
    }
  });
});

function bitCount(word: bigint): number {
  return [...word.toString(2)].filter((bit) => bit === "1").length;
}
