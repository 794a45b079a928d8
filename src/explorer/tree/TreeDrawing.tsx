import { memo } from "react";
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
  readonly fontSize: number;
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

/** `correction` and `bonus` are no drafts: what came in place of the last accepted node's children. */
export type NodeKind =
  | "root"
  | "accepted"
  | "rejected"
  | "correction"
  | "bonus"
  | "leaf"
  | "expanded";

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
  parents,
  depths,
  layout,
  sizes,
  looks,
  scale,
  label,
}: {
  /** By node; the root's is -1. */
  readonly parents: readonly number[];
  readonly depths: readonly number[];
  readonly layout: TreeLayout;
  readonly sizes: DrawingSizes;
  /** By node. */
  readonly looks: readonly NodeLook[];
  readonly scale: number;
  /** Of the picture as a whole, for those who do not see it. */
  readonly label: string;
}) {
  const { nodeWidth, nodeHeight, gapX, gapY } = sizes;
  const left = (node: number) => margin + (depths[node] ?? 0) * (nodeWidth + gapX);
  const top = (node: number) => margin + (layout.rows[node] ?? 0) * (nodeHeight + gapY);
  const { width, height } = drawingSize(layout, sizes);
  const link = (from: number, to: number) => {
    const x0 = left(from) + nodeWidth;
    const y0 = top(from) + nodeHeight / 2;
    const x1 = left(to);
    const y1 = top(to) + nodeHeight / 2;
    const bend = (x1 - x0) / 2;
    return `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
  };
  return (
    <svg
      width={width * scale}
      height={height * scale}
      viewBox={`0 0 ${width} ${height}`}
      className={classes.drawing}
      fontSize={sizes.fontSize}
      role="img"
      aria-label={label}
    >
      {looks.map((look, node) => {
        const parent = parents[node] ?? -1;
        return parent < 0 ? null : (
          <path
            // biome-ignore lint/suspicious/noArrayIndexKey: a node is its index
            key={node}
            d={link(parent, node)}
            className={classes.link}
            {...states(look)}
          />
        );
      })}
      {looks.map((look, node) => (
        <Node
          // biome-ignore lint/suspicious/noArrayIndexKey: a node is its index
          key={node}
          node={node}
          x={left(node)}
          y={top(node)}
          width={nodeWidth}
          height={nodeHeight}
          {...look}
        />
      ))}
    </svg>
  );
});

/** Pointing at a node changes few others. */
const Node = memo(function Node({
  node,
  x,
  y,
  width,
  height,
  ...look
}: NodeLook & {
  readonly node: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}) {
  return (
    <g
      className={classes.node}
      data-node={node}
      {...states(look)}
      transform={`translate(${x} ${y})`}
    >
      <title>{look.title}</title>
      <rect width={width} height={height} rx={Math.min(height / 2, 6 + height / 8)} />
      <text x={width / 2} y={height / 2} dy="0.34em">
        {look.label}
      </text>
    </g>
  );
});

const states = ({ kind, marked, faded }: NodeLook) => ({
  "data-kind": kind,
  "data-marked": marked === true || undefined,
  "data-faded": faded === true || undefined,
});
