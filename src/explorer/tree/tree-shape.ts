import type { InspectedTree } from "../../inspection/inspection.ts";
import { childrenOf } from "./tree-layout.ts";

/** What follows from a tree's parents and ranks. */
export interface TreeShape {
  readonly size: number;
  readonly maxDepth: number;
  /** Children of every node, in order. */
  readonly children: readonly (readonly number[])[];
  readonly leaves: number;
  /** From depth 0 on. */
  readonly levels: readonly TreeLevel[];
  /** Pairs of nodes of which the first sees the second. */
  readonly visiblePairs: number;
}

export interface TreeLevel {
  readonly nodes: readonly number[];
  /** Nodes with children: rows a drafter runs for the next depth. */
  readonly expanded: number;
  readonly mostChildren: number;
  readonly greatestRank: number;
}

export function treeShape({ parents, depths, ranks }: InspectedTree): TreeShape {
  const children = childrenOf(parents);
  const levels: number[][] = [];
  for (const [node, depth] of depths.entries()) {
    levels[depth] ??= [];
    levels[depth].push(node);
  }
  return {
    size: parents.length,
    maxDepth: levels.length - 1,
    children,
    leaves: children.filter((each) => each.length === 0).length,
    levels: levels.map((nodes) => ({
      nodes,
      expanded: nodes.filter((node) => (children[node]?.length ?? 0) > 0).length,
      mostChildren: nodes.reduce((most, node) => Math.max(most, children[node]?.length ?? 0), 0),
      greatestRank: nodes.reduce((most, node) => Math.max(most, ranks[node] ?? 0), 0),
    })),
    // A node sees one node at each depth down to its own.
    visiblePairs: depths.reduce((sum, depth) => sum + depth + 1, 0),
  };
}

/** Nodes from the root to `node`. */
export function pathTo({ parents }: InspectedTree, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at >= 0; at = parents[at] ?? -1) path.unshift(at);
  return path;
}

/** The same as ranks: how trees are written in files. */
export function ranksTo(tree: InspectedTree, node: number): number[] {
  return pathTo(tree, node)
    .slice(1)
    .map((each) => tree.ranks[each] ?? 0);
}

/** The neighbour an arrow key leads to; the node itself where there is none. */
export function neighbour(
  { parents, depths }: InspectedTree,
  { children, levels }: TreeShape,
  rows: readonly number[],
  node: number,
  key: "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown",
): number {
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, parents[node] ?? 0);
    case "ArrowRight":
      return children[node]?.[0] ?? node;
    case "ArrowUp":
    case "ArrowDown": {
      const column = [...(levels[depths[node] ?? 0]?.nodes ?? [])];
      column.sort((a, b) => (rows[a] ?? 0) - (rows[b] ?? 0));
      return column[column.indexOf(node) + (key === "ArrowDown" ? 1 : -1)] ?? node;
    }
    default:
      return key satisfies never;
  }
}
