import type { GraphBuilder, Value } from "../ir/builder.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { levelsOf, nodesAt } from "./tree-levels.ts";

/** One row per draft row, one column per extra slot: may it see the slot? */
export type MaskRows = readonly (readonly boolean[])[];

/** Mask rows as the tree mask u64[rows, W] of an attention. */
export function maskConstant(b: GraphBuilder, rows: MaskRows): Value {
  const width = Math.max(1, Math.ceil((rows[0]?.length ?? 0) / 64));
  const words = rows.flatMap((row) => {
    const packed = new Array<bigint>(width).fill(0n);
    for (const [column, visible] of row.entries()) {
      const word = Math.floor(column / 64);
      if (visible) packed[word] = (packed[word] ?? 0n) | (1n << BigInt(column % 64));
    }
    return packed;
  });
  return b.constantWords(words, [rows.length, width]);
}

/** `node` or one of its ancestors? */
export function isOnPath(tree: TreeTopology, ancestor: number, node: number): boolean {
  for (let at = node; at >= 0; at = tree.parents[at] ?? -1) if (at === ancestor) return true;
  return false;
}

/**
 * The mask M_d of cross-attention heads at a depth: rows are its expanded nodes; columns are the
 * root's output and those of the nodes above it that have grandchildren.
 */
export function outputRows(tree: TreeTopology, depth: number): MaskRows {
  const levels = levelsOf(tree);
  if (depth === 0) return [[true]];
  const columns = outputColumns(tree, depth);
  return (levels[depth]?.expanded ?? []).map((node) =>
    columns.map((column) => isOnPath(tree, column, node)),
  );
}

/** The nodes whose outputs are the columns of `outputRows`: the root, then depths 1 to depth-1. */
export function outputColumns(tree: TreeTopology, depth: number): number[] {
  const above = Array.from({ length: Math.max(0, depth - 1) }, (_, index) =>
    nodesAt(tree, index + 1),
  ).flat();
  return [0, ...above.filter((node) => hasGrandchildren(tree, node))];
}

export function hasGrandchildren(tree: TreeTopology, node: number): boolean {
  return tree.children(node).some((child) => tree.children(child).length > 0);
}

/** Ancestors among the step's draft rows: all expanded nodes below the root down to `depth`. */
export function ancestorRows(tree: TreeTopology, depth: number): MaskRows {
  const levels = levelsOf(tree);
  const columns = levels.slice(1, depth + 1).flatMap((level) => level.expanded);
  return (levels[depth]?.expanded ?? []).map((node) =>
    columns.map((column) => isOnPath(tree, column, node)),
  );
}

/**
 * The mask of the original eagle-attn code: a row sees every row of earlier depths and the rows
 * before it at its own depth, less what M_d forbids where it is laid over the last columns. M_d was
 * made for cross-attention and its columns are other nodes, which is the flaw this reproduces.
 */
export function referenceEagleRows(tree: TreeTopology, depth: number): MaskRows {
  const levels = levelsOf(tree);
  const earlier = levels.slice(1, depth).reduce((sum, level) => sum + level.expanded.length, 0);
  const own = levels[depth]?.expanded.length ?? 0;
  const overlay = outputRows(tree, depth);
  return Array.from({ length: own }, (_, row) =>
    Array.from({ length: earlier + own }, (_, column) => {
      const overlayRow = overlay[row] ?? [];
      const at = column - (earlier + own - overlayRow.length);
      return column <= earlier + row && (at < 0 || overlayRow[at] === true);
    }),
  );
}
