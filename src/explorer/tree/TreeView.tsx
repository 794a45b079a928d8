import { ActionIcon, Group, Table, Text, Tooltip } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { InspectedTree } from "../../inspection/inspection.ts";
import { Panel } from "../common/Panel.tsx";
import { Stats } from "../common/Stats.tsx";
import { MaskMatrix } from "./MaskMatrix.tsx";
import { type DrawingSizes, drawingSize, type NodeLook, TreeDrawing } from "./TreeDrawing.tsx";
import { type TreeLayout, treeLayout } from "./tree-layout.ts";
import { neighbour, pathTo, ranksTo, type TreeShape, treeShape } from "./tree-shape.ts";
import classes from "./tree-view.module.css";

const height = 620;
const closest = 2;
const farthest = 0.1;

/** A draft tree drawn, beside it who sees whom, and its numbers. */
export function TreeView({ tree }: { readonly tree: InspectedTree }) {
  const shape = useMemo(() => treeShape(tree), [tree]);
  const layout = useMemo(() => treeLayout(tree.parents, tree.depths), [tree]);
  const [picked, setPicked] = useState<number>();
  const [hovered, setHovered] = useState<number>();
  const [column, setColumn] = useState<number>();
  const [zoom, setZoom] = useState<number>();
  const { ref, width } = useElementSize();
  const frame = useRef<HTMLDivElement>(null);
  const active = hovered ?? picked;

  const sizes = sizesFor(layout, width / height);
  const natural = drawingSize(layout, sizes);
  const fit = clamp(Math.min(width / natural.width, height / natural.height), farthest, 1.25);
  const scale = zoom ?? fit;
  const drawn = useRef(scale);
  const looks = useMemo(() => looksOf(tree, shape, active), [tree, shape, active]);

  useEffect(() => {
    // The node of the keyboard stays in sight, in a frame that scrolls by itself.
    if (picked !== undefined) keepInSight(frame.current, picked);
  }, [picked]);

  useLayoutEffect(() => {
    // What was in the middle stays there.
    const { current } = frame;
    if (current === null || scale === drawn.current) return;
    const factor = scale / drawn.current;
    drawn.current = scale;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = current;
    current.scrollLeft = (scrollLeft + clientWidth / 2) * factor - clientWidth / 2;
    current.scrollTop = (scrollTop + clientHeight / 2) * factor - clientHeight / 2;
  }, [scale]);

  const onKeyDown = (event: KeyboardEvent) => {
    const { key } = event;
    if (key === "Escape") return setPicked(undefined);
    if (key === "Home") setPicked(0);
    else if (key === "End") setPicked(shape.size - 1);
    else if (
      key === "ArrowLeft" ||
      key === "ArrowRight" ||
      key === "ArrowUp" ||
      key === "ArrowDown"
    )
      setPicked((node) =>
        node === undefined ? 0 : neighbour(tree, shape, layout.rows, node, key),
      );
    else return;
    event.preventDefault();
  };
  const nodeUnder = (target: EventTarget): number | undefined => {
    const found = target instanceof Element ? target.closest("[data-node]") : null;
    return found === null ? undefined : Number(found.getAttribute("data-node"));
  };

  return (
    <div className={classes.view}>
      <Stats stats={statsOf(shape)} />
      <div className={classes.pictures}>
        <Panel
          title={`Draft tree ${tree.name}`}
          note={
            <Group gap={4} wrap="nowrap" component="span">
              <Legend />
              <ZoomButton
                label="Smaller"
                sign="−"
                onClick={() => setZoom(zoomed(scale, 1 / 1.3))}
              />
              <ZoomButton label="Larger" sign="+" onClick={() => setZoom(zoomed(scale, 1.3))} />
              <ZoomButton label="Whole tree" sign="⤢" onClick={() => setZoom(undefined)} />
            </Group>
          }
        >
          <div ref={ref}>
            <div
              ref={frame}
              className={classes.frame}
              style={{ height }}
              role="application"
              aria-label="Draft tree: arrow keys go to parent, child and neighbours"
              // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move through the drawing
              tabIndex={0}
              onKeyDown={onKeyDown}
              onPointerMove={(event) => setHovered(nodeUnder(event.target))}
              onPointerLeave={() => setHovered(undefined)}
              onPointerDown={(event) => setPicked(nodeUnder(event.target))}
            >
              <TreeDrawing
                parents={tree.parents}
                depths={tree.depths}
                layout={layout}
                sizes={sizes}
                looks={looks}
                scale={scale}
                label={`Draft tree of ${shape.size} nodes, ${shape.maxDepth} deep`}
              />
            </div>
          </div>
        </Panel>
        <Panel title="Attention mask">
          <div className={classes.axis}>
            <span>committed</span>
            <span>nodes that are seen →</span>
          </div>
          <MaskMatrix
            tree={tree}
            active={active}
            onHover={(row, seen) => {
              setHovered(row);
              setColumn(seen);
            }}
            onPick={setPicked}
            side={520}
          />
          <Text size="sm" mt="xs" className={classes.cell} aria-live="polite">
            {active === undefined
              ? "A row per node. Point at a cell or a node."
              : describeNode(tree, shape, active, column)}
          </Text>
        </Panel>
      </div>
      <Panel title="By depth">
        <LevelTable shape={shape} />
      </Panel>
    </div>
  );
}

const compact: DrawingSizes = { nodeWidth: 22, nodeHeight: 13, gapX: 16, gapY: 2.5, fontSize: 9.5 };

/** Columns as far apart as the frame's shape, width over height, has room for. */
function sizesFor(layout: TreeLayout, aspect: number): DrawingSizes {
  const { width, height: tall } = drawingSize(layout, compact);
  const spare = (tall * aspect - width) / Math.max(1, layout.columnCount - 1);
  return { ...compact, gapX: compact.gapX + clamp(spare, 0, 110) };
}

function statsOf({ size, maxDepth, leaves, visiblePairs }: TreeShape) {
  return [
    { name: "nodes with the root", value: `${size}` },
    { name: "deepest", value: `${maxDepth}` },
    { name: "leaves", value: `${leaves}` },
    { name: "most tokens a step", value: `${maxDepth + 1}` },
    { name: "mask set", value: `${((100 * visiblePairs) / size ** 2).toFixed(1)} %` },
    { name: "mask words a row", value: `${Math.ceil(size / 64)}` },
  ];
}

function looksOf(tree: InspectedTree, shape: TreeShape, active: number | undefined): NodeLook[] {
  const path = new Set(active === undefined ? [] : pathTo(tree, active));
  return tree.parents.map((parent, node) => ({
    label: parent < 0 ? "" : `${tree.ranks[node] ?? 0}`,
    title: describeNode(tree, shape, node, undefined),
    kind: parent < 0 ? "root" : (shape.children[node]?.length ?? 0) > 0 ? "expanded" : "leaf",
    marked: path.has(node),
  }));
}

function describeNode(
  tree: InspectedTree,
  { children }: TreeShape,
  node: number,
  column: number | undefined,
): string {
  const ranks = ranksTo(tree, node);
  const depth = tree.depths[node] ?? 0;
  const place = node === 0 ? "the root" : `path ${ranks.join(" · ")}, depth ${depth}`;
  const below = children[node]?.length ?? 0;
  const family = below === 0 ? "a leaf" : `${below} ${below === 1 ? "child" : "children"}`;
  if (column === undefined)
    return `Node ${node}: ${place}, ${family}; sees the committed tokens and ${depth + 1} ${depth === 0 ? "node" : "nodes"} of the tree`;
  const sees = column < 0 || pathTo(tree, node).includes(column);
  return `Node ${node} (${place}) ${sees ? "sees" : "does not see"} ${column < 0 ? "the committed tokens" : column === node ? "itself" : `node ${column}`}`;
}

function LevelTable({ shape }: { readonly shape: TreeShape }) {
  return (
    <Table className={classes.levels} aria-label="Nodes by depth">
      <Table.Thead>
        <Table.Tr>
          {["depth", "nodes", "", "with children", "most children", "ranks"].map((name) => (
            <Table.Th key={name} aria-hidden={name === "" || undefined}>
              {name}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {shape.levels.map(({ nodes, expanded, mostChildren, greatestRank }, depth) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a level is its depth
          <Table.Tr key={depth}>
            <Table.Td>{depth}</Table.Td>
            <Table.Td>{nodes.length}</Table.Td>
            <Table.Td className={classes.barCell} aria-hidden>
              <div
                className={classes.bar}
                style={{ width: `${(100 * nodes.length) / widest(shape)}%` }}
              />
            </Table.Td>
            <Table.Td>{expanded}</Table.Td>
            <Table.Td>{mostChildren}</Table.Td>
            <Table.Td>
              {depth === 0 ? "–" : greatestRank === 0 ? "0" : `0 to ${greatestRank}`}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

const widest = ({ levels }: TreeShape): number =>
  levels.reduce((most, { nodes }) => Math.max(most, nodes.length), 1);

function Legend() {
  return (
    <Text size="xs" c="dimmed" component="span" className={classes.legend}>
      numbers are ranks
      <span data-kind="expanded" /> with children
      <span data-kind="leaf" /> leaf
    </Text>
  );
}

function ZoomButton({
  label,
  sign,
  onClick,
}: {
  readonly label: string;
  readonly sign: string;
  readonly onClick: () => void;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size="sm" aria-label={label} onClick={onClick}>
        {sign}
      </ActionIcon>
    </Tooltip>
  );
}

const zoomed = (scale: number, factor: number): number => clamp(scale * factor, farthest, closest);

const clamp = (value: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, value));

function keepInSight(frame: HTMLElement | null, node: number): void {
  const box = frame?.querySelector(`[data-node="${node}"]`)?.getBoundingClientRect();
  if (frame === null || box === undefined) return;
  const outer = frame.getBoundingClientRect();
  const over = (start: number, end: number, from: number, to: number) =>
    start < from ? start - from - 24 : end > to ? end - to + 24 : 0;
  frame.scrollBy(
    over(box.left, box.right, outer.left, outer.right),
    over(box.top, box.bottom, outer.top, outer.bottom),
  );
}
