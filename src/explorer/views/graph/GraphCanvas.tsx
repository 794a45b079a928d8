import {
  Background,
  Controls,
  type Edge,
  MarkerType,
  MiniMap,
  type Node,
  ReactFlow,
  useReactFlow,
} from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, useEffect, useMemo, useRef } from "react";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import { type Palette, usePalette } from "../../common/colors.ts";
import { useProgram } from "../../data/page-context.ts";
import { type GraphCard, groupSources, type Item } from "../../model/graph-cards.ts";
import {
  type GraphLayout,
  layOutEdges,
  layOutGraph,
  type PlacedCard,
  type PlacedEdge,
} from "../../model/graph-layout.ts";
import { nextCard } from "../../model/graph-walk.ts";
import { type CardNode, nodeTypes, type RepeatNode, type TitleNode } from "./graph-nodes.tsx";
import classes from "./graph.module.css";

export interface GraphCanvasProps {
  readonly items: readonly Item[];
  readonly unfolded: ReadonlySet<string>;
  readonly chosen: GraphCard | undefined;
  readonly onChoose: (card: GraphCard | undefined) => void;
  readonly onOpen: (card: GraphCard) => void;
  /** Folds or unfolds a repeat. */
  readonly onToggle: (repeat: string) => void;
}

/** The drawn graph: pan, zoom, minimap, and a walk by arrow keys. */
export function GraphCanvas({
  items,
  unfolded,
  chosen,
  onChoose,
  onOpen,
  onToggle,
}: GraphCanvasProps) {
  const program = useProgram();
  const palette = usePalette();
  const scheme = useComputedColorScheme("light");
  const flow = useReactFlow();
  const frame = useRef<HTMLDivElement>(null);
  const layout = useMemo(() => layOutGraph(items, unfolded), [items, unfolded]);
  const placedEdges = useMemo(
    () => layOutEdges(layout, items, groupSources(program)),
    [layout, items, program],
  );
  const standing = useMemo(() => standsFor(layout, chosen), [layout, chosen]);
  const nodes = useMemo(
    () => nodesOf(program, layout, standing, onChoose, onToggle),
    [program, layout, standing, onChoose, onToggle],
  );
  const edges = useMemo(
    () => placedEdges.map((edge) => edgeOf(edge, standing?.card.id, palette)),
    [placedEdges, standing, palette],
  );
  // A chosen card that is out of sight is brought to the middle.
  useEffect(() => {
    if (standing === undefined || frame.current === null) return;
    const { x, y, zoom } = flow.getViewport();
    const { clientWidth, clientHeight } = frame.current;
    const left = standing.x * zoom + x;
    const top = standing.y * zoom + y;
    const inside =
      left >= 0 &&
      top >= 0 &&
      left + standing.width * zoom <= clientWidth &&
      top + standing.height * zoom <= clientHeight;
    if (inside) return;
    flow.setCenter(standing.x + standing.width / 2, standing.y + standing.height / 2, { zoom });
  }, [standing, flow]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && chosen !== undefined) onChoose(undefined);
    else if (event.key === "Enter" && chosen !== undefined) onOpen(chosen);
    else {
      const next = nextCard(layout, standing, event.key);
      if (next === undefined) return;
      onChoose(next.card);
      frame.current?.querySelector<HTMLElement>(`[data-card="${next.card.id}"]`)?.focus({
        preventScroll: true,
      });
    }
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the focused card bubble to here
    <div ref={frame} className={classes.canvas} onKeyDown={onKeyDown}>
      <ReactFlow
        key={unfolded.size}
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: 0.03, maxZoom: 1.1, minZoom: unfolded.size > 0 ? 0.05 : 0.55 }}
        minZoom={0.05}
        maxZoom={2}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        disableKeyboardA11y
        onlyRenderVisibleElements={nodes.length > 150}
        panOnScroll
        onPaneClick={() => onChoose(undefined)}
        proOptions={{ hideAttribution: true }}
      >
        <Background gap={24} size={1} />
        <MiniMap
          pannable
          zoomable
          ariaLabel="The whole graph"
          position="bottom-left"
          offsetScale={2}
          nodeColor={({ data }) =>
            typeof data.family === "string" ? palette.family(data.family) : "transparent"
          }
          style={{ width: 140, height: 92, marginLeft: 56 }}
        />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

/** The card that shows the chosen one: itself, or that of the first repetition. */
function standsFor({ cards }: GraphLayout, chosen: GraphCard | undefined): PlacedCard | undefined {
  if (chosen === undefined) return undefined;
  return cards.find(
    ({ card, repeat }) =>
      card === chosen ||
      repeat?.repetitions.some((own) => {
        const index = own.indexOf(chosen);
        return index >= 0 && repeat.repetitions[0]?.[index] === card;
      }) === true,
  );
}

function nodesOf(
  program: ProgramOutline,
  { cards, repeats, titles }: GraphLayout,
  marked: PlacedCard | undefined,
  choose: (card: GraphCard) => void,
  toggle: (repeat: string) => void,
): Node[] {
  const first = cards[0]?.card.id;
  return [
    ...repeats.map(
      ({ repeat, folded, x, y, width, height }): RepeatNode => ({
        id: repeat.id,
        type: "repeat",
        position: { x, y },
        width,
        height,
        zIndex: -1,
        data: { repeat, folded, program, onToggle: toggle },
      }),
    ),
    ...titles.map(
      ({ text, phase, x, y, width, height }): TitleNode => ({
        id: `title ${text} ${y}`,
        type: "title",
        position: { x, y },
        width,
        height,
        data: { text, phase },
      }),
    ),
    ...cards.map(({ card, x, y, width, height }): CardNode => {
      const kernel = program.launches[card.launches[0] ?? -1]?.kernel ?? -1;
      return {
        id: card.id,
        type: "card",
        position: { x, y },
        width,
        height,
        data: {
          card,
          program,
          family: program.kernels[kernel]?.family ?? "",
          chosen: marked?.card === card,
          tabbable: (marked?.card.id ?? first) === card.id,
          onChoose: choose,
        },
      };
    }),
  ];
}

const handles: Readonly<Record<PlacedEdge["kind"], readonly [source: string, target: string]>> = {
  next: ["bottom", "top"],
  skip: ["left-out", "left-in"],
  cross: ["right-out", "left-in"],
  loop: ["right-out", "right-in"],
};

function edgeOf(
  { id, source, target, kind }: PlacedEdge,
  marked: string | undefined,
  { accent, dimmed }: Palette,
): Edge {
  const touched = source === marked || target === marked;
  const stroke = touched ? accent : dimmed;
  const [sourceHandle, targetHandle] = handles[kind];
  const faint = kind === "cross" || kind === "skip" ? 0.3 : 0.8;
  return {
    id,
    source,
    target,
    sourceHandle,
    targetHandle,
    type: kind === "next" ? "straight" : "default",
    style: {
      stroke,
      strokeWidth: touched ? 2 : 1.2,
      opacity: touched ? 1 : marked === undefined ? faint : 0.2,
      ...(kind === "loop" && { strokeDasharray: "4 3" }),
    },
    markerEnd: { type: MarkerType.ArrowClosed, color: stroke, width: 14, height: 14 },
    ...(touched && { zIndex: 1 }),
  };
}
