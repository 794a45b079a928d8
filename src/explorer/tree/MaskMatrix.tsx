import { useComputedColorScheme } from "@mantine/core";
import { type PointerEvent, useEffect, useRef } from "react";
import type { InspectedTree } from "../../inspection/inspection.ts";
import classes from "./tree-view.module.css";
import { pathTo } from "./tree-shape.ts";

/** Pixels of the committed tokens' column and of the gap after it, of the `side` of the nodes' square. */
const prefixWidth = 22;
const prefixGap = 4;

const colours = {
  light: { back: "#f1f3f5", grid: "#ffffff", seen: "#62bfb2", own: "#078274", cross: "#0b7285" },
  dark: { back: "#2e2e2e", grid: "#242424", seen: "#1d8376", own: "#28c4ab", cross: "#66d9e8" },
} as const;

/**
 * Who sees whom: a row per node that asks, a column per node that may be seen, and before them the
 * committed tokens, which all nodes see.
 */
export function MaskMatrix({
  tree,
  active,
  onHover,
  onPick,
  side,
}: {
  readonly tree: InspectedTree;
  readonly active: number | undefined;
  /** The row and column under the pointer. */
  readonly onHover: (row: number | undefined, column: number | undefined) => void;
  readonly onPick: (row: number) => void;
  /** Width and height of the square in CSS pixels. */
  readonly side: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context !== undefined && context !== null) draw(context, tree, active, side, scheme);
  }, [tree, active, side, scheme]);

  const cell = (event: PointerEvent): [row: number, column: number] | undefined => {
    const box = event.currentTarget.getBoundingClientRect();
    const size = tree.parents.length;
    const row = Math.floor(((event.clientY - box.top) / side) * size);
    const x = event.clientX - box.left - prefixWidth - prefixGap;
    const column = x < 0 ? -1 : Math.floor((x / side) * size);
    return row >= 0 && row < size && column < size ? [row, column] : undefined;
  };
  return (
    <canvas
      ref={canvas}
      className={classes.mask}
      style={{ width: side + prefixWidth + prefixGap, height: side }}
      role="img"
      aria-label={`Attention mask of ${tree.parents.length} nodes`}
      onPointerMove={(event) => {
        const found = cell(event);
        onHover(found?.[0], found?.[1]);
      }}
      onPointerLeave={() => onHover(undefined, undefined)}
      onPointerDown={(event) => {
        const found = cell(event);
        if (found !== undefined) onPick(found[0]);
      }}
    />
  );
}

function draw(
  context: CanvasRenderingContext2D,
  tree: InspectedTree,
  active: number | undefined,
  side: number,
  scheme: "light" | "dark",
): void {
  const ratio = devicePixelRatio;
  const left = prefixWidth + prefixGap;
  context.canvas.width = Math.round((side + left) * ratio);
  context.canvas.height = Math.round(side * ratio);
  context.scale(ratio, ratio);
  const colour = colours[scheme];
  const size = tree.parents.length;
  const cell = side / size;
  const gap = cell >= 6 ? 1 : 0;
  context.fillStyle = colour.back;
  context.fillRect(left, 0, side, side);
  context.fillStyle = colour.seen;
  context.fillRect(0, 0, prefixWidth, side);
  for (let row = 0; row < size; row++) {
    for (const column of pathTo(tree, row)) {
      context.fillStyle = column === row ? colour.own : colour.seen;
      // Less than a device pixel would be lost.
      const width = Math.max(cell - gap, 1 / ratio);
      context.fillRect(left + column * cell, row * cell, width, width);
    }
  }
  if (gap > 0) {
    context.fillStyle = colour.grid;
    for (let line = 1; line < size; line++) {
      context.fillRect(left + line * cell - gap, 0, gap, side);
      context.fillRect(0, line * cell - gap, left + side, gap);
    }
  }
  if (active === undefined) return;
  context.fillStyle = colour.cross;
  context.globalAlpha = 0.22;
  const thickness = Math.max(cell - gap, 1);
  context.fillRect(0, active * cell, left + side, thickness);
  context.fillRect(left + active * cell, 0, thickness, side);
  context.globalAlpha = 1;
  for (const column of pathTo(tree, active)) {
    context.fillStyle = column === active ? colour.own : colour.cross;
    context.fillRect(left + column * cell, active * cell, thickness, thickness);
  }
}
