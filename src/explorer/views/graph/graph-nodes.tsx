import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import { usePalette } from "../../common/colors.ts";
import { formatBytes, formatMicroseconds } from "../../common/format.ts";
import type { GraphCard, RepeatedCards } from "../../model/graph-cards.ts";
import { placeOf, shortLabel } from "../../model/names.ts";
import type { Phase } from "../../model/phases.ts";
import { workOf } from "../../model/step.ts";
import classes from "./graph.module.css";

export type CardNode = Node<
  {
    readonly card: GraphCard;
    readonly program: ProgramOutline;
    readonly family: string;
    readonly chosen: boolean;
    readonly tabbable: boolean;
    readonly onChoose: (card: GraphCard) => void;
  },
  "card"
>;

export type RepeatNode = Node<
  {
    readonly repeat: RepeatedCards;
    readonly folded: boolean;
    readonly program: ProgramOutline;
    readonly onToggle: (repeat: string) => void;
  },
  "repeat"
>;

export type TitleNode = Node<{ readonly text: string; readonly phase: Phase }, "title">;

function Card({ data }: NodeProps<CardNode>) {
  const { card, program, family, chosen, tabbable, onChoose } = data;
  const palette = usePalette();
  const launches = card.launches.flatMap((index) => program.launches[index] ?? []);
  const { time, bytes } = workOf(launches);
  const label = launches.map((launch) => launch.label).join("; ");
  return (
    <>
      <Handle type="target" id="top" position={Position.Top} />
      <Handle type="target" id="left-in" position={Position.Left} style={{ top: "35%" }} />
      <Handle type="source" id="left-out" position={Position.Left} style={{ top: "65%" }} />
      <Handle type="target" id="right-in" position={Position.Right} style={{ top: "35%" }} />
      <button
        type="button"
        className={classes.card}
        data-card={card.id}
        data-chosen={chosen || undefined}
        tabIndex={tabbable ? 0 : -1}
        aria-pressed={chosen}
        title={label}
        style={{ borderLeftColor: palette.family(family) }}
        onClick={() => onChoose(card)}
        onFocus={(event) => {
          if (event.currentTarget.matches(":focus-visible")) onChoose(card);
        }}
      >
        <span className={classes.cardTitle}>{shortLabel(launches[0]?.label ?? "")}</span>
        <span className={classes.cardNote}>
          {family}
          {launches.length > 1 && ` × ${launches.length}`}
          <span>
            {formatBytes(bytes)} · {formatMicroseconds(time)}
          </span>
        </span>
      </button>
      <Handle type="source" id="right-out" position={Position.Right} style={{ top: "65%" }} />
      <Handle type="source" id="bottom" position={Position.Bottom} />
    </>
  );
}

function Repeat({ data: { repeat, folded, program, onToggle } }: NodeProps<RepeatNode>) {
  const { repetitions } = repeat;
  return (
    <div className={classes.repeat}>
      <div className={classes.repeatHead}>
        <strong>× {repetitions.length}</strong>
        <span>{placesOf(repeat, program)}</span>
        <button type="button" className="nodrag nopan" onClick={() => onToggle(repeat.id)}>
          {folded ? "Unfold" : "Fold"}
        </button>
      </div>
    </div>
  );
}

/** `layers 0–31`: where the repetitions are. */
export function placesOf({ repetitions }: RepeatedCards, { launches }: ProgramOutline): string {
  const places = [repetitions[0]?.[0], repetitions.at(-1)?.at(-1)].map((card) =>
    placeOf(launches[card?.launches[0] ?? -1]?.label ?? ""),
  );
  const [first, last] = places.map((own) => own?.split("."));
  if (first === undefined || last === undefined || first[0] !== "layers") return "";
  return `layers ${first[1]}–${last[1]}`;
}

function Title({ data: { text, phase } }: NodeProps<TitleNode>) {
  return (
    <div className={classes.sectionTitle} style={{ color: usePalette().phase(phase) }}>
      {text}
    </div>
  );
}

export const nodeTypes = { card: Card, repeat: Repeat, title: Title };
