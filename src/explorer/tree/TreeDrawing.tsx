import { memo } from "react";
import type { InspectedTree } from "../../inspection/inspection.ts";
import classes from "./tree-drawing.module.css";
import type { TreeLayout } from "./tree-layout.ts";

/** Sizes of a drawing in pixels, before scaling. */
export interface DrawingSizes {
  readonly nodeWidth: number;
  readonly nodeHeight: number;
  /** Between columns. */
  readonly gapX: number;
  /** Between rows. */
  readonly gapY: number;
}

/** What stands at a node, and how. */
export interface NodeLook {
  readonly label: string;
  readonly title: string;
  readonly kind: NodeKind;
  /** In the colours of what is being looked at. */
  readonly marked?: boolean | undefined;
  /** Further away from it than others. */
  readonly faded?: boolean | undefined;
}

export type NodeKind = "root" | "accepted" | "rejected" | "leaf" | "expanded";

/** A node of no tree: what came instead of the drafts below `after`. */
export interface Continuation {
  readonly after: number;
  readonly label: string;
  readonly title: string;
  readonly kind: "correction" | "bonus";
}

export const margin = 8;

export function drawingSize(
  { rowCount, columnCount }: TreeLayout,
  { nodeWidth, nodeHeight, gapX, gapY }: DrawingSizes,
): { width: number; height: number } {
  return {
    width: columnCount * (nodeWidth + gapX) - gapX + 2 * margin,
    height: rowCount * (nodeHeight + gapY) - gapY + 2 * margin,
  };
}

/** A tree from left to right: links under nodes, nodes with their labels. */
export const TreeDrawing = memo(function TreeDrawing({
  tree,
  layout,
  sizes,
  looks,
  scale,
  label,
  continuation,
}: {
  readonly tree: InspectedTree;
  readonly layout: TreeLayout;
  readonly sizes: DrawingSizes;
  /** By node. */
  readonly looks: readonly NodeLook[];
  readonly scale: number;
  /** Of the picture as a whole, for those who do not see it. */
  readonly label: string;
  readonly continuation?: Continuation | undefined;
}) {
  const { nodeWidth, nodeHeight, gapX, gapY } = sizes;
  const left = (depth: number) => margin + depth * (nodeWidth + gapX);
  const top = (row: number) => margin + row * (nodeHeight + gapY);
  const size = drawingSize(layout, sizes);
  const extraColumn =
    continuation !== undefined && (tree.depths[continuation.after] ?? 0) + 1 >= layout.columnCount;
  const width = size.width + (extraColumn ? nodeWidth + gapX : 0);
  // Between the rows of a full column there is no place for it: it stands below the drawing's nodes.
  const freeRow =
    continuation === undefined
      ? 0
      : rowFor(tree, layout, (tree.depths[continuation.after] ?? 0) + 1, continuation.after);
  const height = Math.max(size.height, top(freeRow) + nodeHeight + margin);
  const radius = Math.min(nodeHeight / 2, 6 + nodeHeight / 8);

  const link = (from: number, depth: number, row: number) => {
    const x0 = left(tree.depths[from] ?? 0) + nodeWidth;
    const y0 = top(layout.rows[from] ?? 0) + nodeHeight / 2;
    const x1 = left(depth);
    const y1 = top(row) + nodeHeight / 2;
    const bend = (x1 - x0) / 2;
    return `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
  };

  return (
    <svg
      width={width * scale}
      height={height * scale}
      viewBox={`0 0 ${width} ${height}`}
      className={classes.drawing}
      role="img"
      aria-label={label}
    >
      {tree.parents.map((parent, node) =>
        parent < 0 ? null : (
          <path
            // biome-ignore lint/suspicious/noArrayIndexKey: a node is its index
            key={node}
            d={link(parent, tree.depths[node] ?? 0, layout.rows[node] ?? 0)}
            className={classes.link}
            data-kind={looks[node]?.kind}
            data-marked={looks[node]?.marked === true || undefined}
            data-faded={looks[node]?.faded === true || undefined}
          />
        ),
      )}
      {continuation !== undefined && (
        <path
          d={link(continuation.after, (tree.depths[continuation.after] ?? 0) + 1, freeRow)}
          className={classes.link}
          data-kind={continuation.kind}
        />
      )}
      {looks.map(({ label: text, title, kind, marked, faded }, node) => (
        <g
          // biome-ignore lint/suspicious/noArrayIndexKey: a node is its index
          key={node}
          className={classes.node}
          data-node={node}
          data-kind={kind}
          data-marked={marked === true || undefined}
          data-faded={faded === true || undefined}
          transform={`translate(${left(tree.depths[node] ?? 0)} ${top(layout.rows[node] ?? 0)})`}
        >
          <title>{title}</title>
          <rect width={nodeWidth} height={nodeHeight} rx={radius} />
          <text x={nodeWidth / 2} y={nodeHeight / 2} dy="0.34em">
            {text}
          </text>
        </g>
      ))}
      {continuation !== undefined && (
        <g
          className={classes.node}
          data-kind={continuation.kind}
          transform={`translate(${left((tree.depths[continuation.after] ?? 0) + 1)} ${top(freeRow)})`}
        >
          <title>{continuation.title}</title>
          <rect width={nodeWidth} height={nodeHeight} rx={radius} />
          <text x={nodeWidth / 2} y={nodeHeight / 2} dy="0.34em">
            {continuation.label}
          </text>
        </g>
      )}
    </svg>
  );
});

/** The row nearest to a node's own that no node of the column takes. */
function rowFor(
  { depths }: InspectedTree,
  { rows }: TreeLayout,
  column: number,
  after: number,
): number {
  const taken = rows.filter((_, node) => depths[node] === column);
  const own = rows[after] ?? 0;
  const free = (row: number) => row >= 0 && taken.every((other) => Math.abs(other - row) >= 1);
  const candidates = [own, ...taken.flatMap((row) => [row + 1, row - 1])].filter(free);
  return candidates.reduce(
    (best, row) => (Math.abs(row - own) < Math.abs(best - own) ? row : best),
    candidates[0] ?? own,
  );
}
