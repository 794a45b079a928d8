import type { GraphBuilder, Value } from "../ir/builder.ts";
import type { TreeTopology } from "../speculation/tree.ts";

/** One depth of a tree as a drafter works on it: a batch of parents, each with ranked children. */
export interface Level {
  /** Nodes at depth d that have children, in tree order: the rows of the draft head's batch. */
  readonly expanded: readonly number[];
  /** Nodes at depth d+1 in tree order, with their parent's row in `expanded` and their rank. */
  readonly children: readonly {
    readonly node: number;
    readonly parentRow: number;
    readonly rank: number;
  }[];
  /** Candidates each parent must offer: 1 + the largest rank. */
  readonly width: number;
}

/** Levels 0 to maxDepth-1. */
export function levelsOf(tree: TreeTopology): Level[] {
  return Array.from({ length: tree.maxDepth }, (_, depth) => {
    const expanded = nodesAt(tree, depth).filter((node) => tree.children(node).length > 0);
    const children = expanded.flatMap((parent, parentRow) =>
      tree.children(parent).map((node) => ({ node, parentRow, rank: tree.ranks[node] ?? 0 })),
    );
    return { expanded, children, width: 1 + Math.max(...children.map(({ rank }) => rank)) };
  });
}

export function nodesAt(tree: TreeTopology, depth: number): number[] {
  return Array.from(tree.depths.keys()).filter((node) => tree.depths[node] === depth);
}

/**
 * Tokens of a level's children i32[children] from the logits f32[parents, V] of its parents. With
 * `shared` one row of logits serves every parent (heads that do not look at the path).
 */
export function childTokens(b: GraphBuilder, level: Level, logits: Value, shared = false): Value {
  const { ids } = b.topk(logits, level.width, "candidates");
  const flat = b.reshape(ids, (shared ? 1 : level.expanded.length) * level.width);
  const picks = level.children.map(
    ({ parentRow, rank }) => (shared ? 0 : parentRow * level.width) + rank,
  );
  return b.gather(flat, b.constant("i32", picks), "tokens");
}

/** For the nodes of `next.expanded`: which row their parent had, and which child of the level they are. */
export function expansion(
  level: Level,
  next: Level,
): { parentRows: number[]; childIndices: number[] } {
  const childIndices = next.expanded.map((node) =>
    level.children.findIndex((child) => child.node === node),
  );
  const parentRows = childIndices.map((index) => level.children[index]?.parentRow ?? 0);
  return { parentRows, childIndices };
}
