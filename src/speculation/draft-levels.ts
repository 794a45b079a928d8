import type { TreeTopology } from "./tree.ts";

/**
 * What a drafter computes for one depth of a tree: one row per expanded node (a node that has
 * children), and from each row's ranking the tokens of that node's children.
 */
export interface DraftLevel {
  /** Depth of the expanded nodes; their children are one deeper. */
  readonly depth: number;
  /** Nodes at this depth that have children, in tree order: the rows of this depth's batch. */
  readonly expanded: Int32Array;
  /** Row, in the batch one depth up, of each expanded node's parent; -1 at depth 0. */
  readonly expandedParentRows: Int32Array;
  /** All nodes at depth + 1, in tree order: a contiguous run of node indices. */
  readonly children: Int32Array;
  /** Row in `expanded` of each child's parent. */
  readonly parentRows: Int32Array;
  /** Rank of each child: its token is the rank-th best of the parent's row. */
  readonly ranks: Int32Array;
  /** Largest rank + 1: how many of the best tokens each row must provide. */
  readonly beam: number;
  /** Children of each expanded node. */
  readonly childCounts: Int32Array;
  /** How many of these children are expanded themselves. */
  readonly expandedChildCounts: Int32Array;
}

/** One entry per depth from 0 to maxDepth - 1; none for plain decoding. */
export function draftLevels(tree: TreeTopology): readonly DraftLevel[] {
  const rowsAt = (depth: number): Map<number, number> =>
    new Map(tree.expandedNodes(depth).map((node, row) => [node, row]));
  const parentRow = (node: number, rows: ReadonlyMap<number, number>): number =>
    rows.get(tree.parents[node] ?? -1) ?? -1;
  return Array.from({ length: tree.maxDepth }, (_, depth) => {
    const expanded = tree.expandedNodes(depth);
    const children = tree.levels[depth + 1] ?? [];
    const rows = rowsAt(depth);
    const rowsAbove = rowsAt(depth - 1);
    const ranks = Int32Array.from(children, (node) => tree.ranks[node] ?? 0);
    const isExpanded = (node: number): boolean => tree.children(node).length > 0;
    return {
      depth,
      expanded: Int32Array.from(expanded),
      expandedParentRows: Int32Array.from(expanded, (node) => parentRow(node, rowsAbove)),
      children: Int32Array.from(children),
      parentRows: Int32Array.from(children, (node) => parentRow(node, rows)),
      ranks,
      beam: ranks.reduce((most, rank) => Math.max(most, rank + 1), 0),
      childCounts: Int32Array.from(expanded, (node) => tree.children(node).length),
      expandedChildCounts: Int32Array.from(
        expanded,
        (node) => tree.children(node).filter(isExpanded).length,
      ),
    };
  });
}

/**
 * Index of every node's token in the list [root, best k of head 0, best k of head 1, …], for heads
 * that do not depend on each other (Medusa): rank + k·(depth - 1) + 1.
 * @param candidatesPerHead k; must exceed every rank of the tree. Published code uses 10.
 * @returns i32 [size]; 0 for the root.
 */
export function candidateIndices(tree: TreeTopology, candidatesPerHead: number): Int32Array {
  return Int32Array.from(tree.paths, (path, node) => {
    const rank = tree.ranks[node] ?? 0;
    if (rank >= candidatesPerHead) {
      throw new RangeError(`rank ${rank} is beyond ${candidatesPerHead} candidates per head`);
    }
    return path.length === 0 ? 0 : rank + candidatesPerHead * (path.length - 1) + 1;
  });
}

/**
 * Which of the rows computed at smaller depths each row of a depth's batch may attend to (the
 * attention-type Hydra heads). Columns: the root's row, then the nodes at depths 1 … depth - 1 that
 * have grandchildren, in tree order; a row sees the root's and its ancestors'.
 */
export function proposalMask(tree: TreeTopology, depth: number): readonly (readonly (0 | 1)[])[] {
  if (depth === 0) return [[1]];
  const hasGrandchild = (node: number): boolean =>
    tree.children(node).some((child) => tree.children(child).length > 0);
  const columns = tree.levels.slice(1, depth).flatMap((level) => level.filter(hasGrandchild));
  return tree.expandedNodes(depth).map((node) => {
    const ancestors = new Set<number>();
    for (let at = tree.parents[node] ?? -1; at > 0; at = tree.parents[at] ?? -1) ancestors.add(at);
    return [1, ...columns.map((column) => (ancestors.has(column) ? 1 : 0))];
  });
}
