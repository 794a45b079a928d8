import type { GraphBuilder, Value } from "../ir/builder.ts";
import { proposalMask } from "../speculation/draft-levels.ts";
import type { TreeTopology } from "../speculation/tree.ts";

/** One row per draft row, one column per extra slot: may it see the slot? */
export type MaskRows = readonly (readonly (0 | 1)[])[];

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

/** Columns: all expanded nodes from depth 1 down to `depth`; a row sees its ancestors and itself. */
export function ancestorRows(tree: TreeTopology, depth: number): MaskRows {
  const columns = Array.from({ length: depth }, (_, above) => tree.expandedNodes(above + 1)).flat();
  return tree.expandedNodes(depth).map((node) => {
    const path = new Set<number>();
    for (let at = node; at > 0; at = tree.parents[at] ?? -1) path.add(at);
    return columns.map((column) => (path.has(column) ? 1 : 0));
  });
}

/**
 * The mask of the original eagle-attn code, columns as in `ancestorRows`: a row sees every row of
 * earlier depths and those before it at its own, less what the cross-attention mask forbids where
 * that is laid over the last columns. Its columns stand for other nodes: the flaw this reproduces.
 */
export function referenceEagleRows(tree: TreeTopology, depth: number): MaskRows {
  const earlier = Array.from({ length: depth - 1 }, (_, above) =>
    tree.expandedNodes(above + 1),
  ).flat().length;
  return proposalMask(tree, depth).map((overlay, row, rows) => {
    const columns = earlier + rows.length;
    return Array.from({ length: columns }, (_, column) => {
      const forbidden = overlay[column - (columns - overlay.length)] === 0;
      return column <= earlier + row && !forbidden ? 1 : 0;
    });
  });
}
