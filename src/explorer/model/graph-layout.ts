import { type GraphCard, type Item, isRepeated, type RepeatedCards } from "./graph-cards.ts";

/*
 * Where the cards of a graph stand: a column per draft head, one for the base model, one for what
 * comes after it; in a column from top to bottom in the order they run.
 */

export const cardWidth = 216;
export const cardHeight = 52;
const cardGap = 18;
const columnGap = 64;
const titleHeight = 34;
const padding = 12;
/** Repetitions beside each other when a repeat is shown in full. */
const repetitionsPerRow = 8;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedCard extends Box {
  readonly card: GraphCard;
  /** The folded repeat it stands for. */
  readonly repeat: RepeatedCards | undefined;
  /** Its column, and place in it: cards of one column that follow each other differ by 1. */
  readonly column: string;
  readonly place: number;
}

export interface PlacedRepeat extends Box {
  readonly repeat: RepeatedCards;
  readonly folded: boolean;
}

export interface PlacedTitle extends Box {
  readonly text: string;
  readonly phase: GraphCard["phase"];
}

export interface GraphLayout {
  readonly cards: readonly PlacedCard[];
  readonly repeats: readonly PlacedRepeat[];
  readonly titles: readonly PlacedTitle[];
}

/** @param unfolded ids of the repeats shown in full */
export function layOutGraph(items: readonly Item[], unfolded: ReadonlySet<string>): GraphLayout {
  const cards: PlacedCard[] = [];
  const repeats: PlacedRepeat[] = [];
  const titles: PlacedTitle[] = [];
  let x = 0;
  for (const column of columnsOf(items)) {
    let [y, width, place] = [0, cardWidth, 0];
    let title: string | undefined;
    const placeCard = (
      card: GraphCard,
      at: { x: number; y: number },
      repeat?: RepeatedCards,
      own = column.id,
    ) => {
      const size = { width: cardWidth, height: cardHeight };
      cards.push({ card, repeat, column: own, place: place++, ...at, ...size });
    };
    for (const item of column.items) {
      const text = titleOf(firstOf(item));
      if (text !== title) {
        title = text;
        if (y > 0) y += cardGap;
        titles.push({ text, phase: firstOf(item).phase, x, y, width: cardWidth, height: 24 });
        y += titleHeight;
      }
      if (!isRepeated(item)) {
        placeCard(item, { x, y });
        y += cardHeight + cardGap;
        continue;
      }
      const folded = !unfolded.has(item.id);
      const shown = folded ? item.repetitions.slice(0, 1) : item.repetitions;
      // Single cards stand below each other like all others.
      const single = item.repetitions[0]?.length === 1;
      const perRow = single ? 1 : Math.min(shown.length, repetitionsPerRow);
      const rowHeight =
        (item.repetitions[0]?.length ?? 0) * (cardHeight + cardGap) + (single ? 0 : cardGap);
      const top = y + titleHeight;
      shown.forEach((repetition, time) => {
        const left = x + (time % perRow) * (cardWidth + columnGap / 2);
        const start = top + Math.floor(time / perRow) * rowHeight;
        repetition.forEach((card, index) => {
          const own = folded || single ? column.id : `${item.id} ${time}`;
          const at = { x: left, y: start + index * (cardHeight + cardGap) };
          placeCard(card, at, folded ? item : undefined, own);
        });
      });
      const rows = Math.ceil(shown.length / perRow);
      const box = {
        x: x - padding,
        y,
        width: perRow * (cardWidth + columnGap / 2) - columnGap / 2 + 2 * padding,
        height: titleHeight + rows * rowHeight - (single ? 1 : 2) * cardGap + padding,
      };
      repeats.push({ repeat: item, folded, ...box });
      width = Math.max(width, box.width - 2 * padding);
      y += box.height + cardGap;
    }
    x += width + columnGap;
  }
  return { cards, repeats, titles };
}

const firstOf = (item: Item): GraphCard => {
  const first = isRepeated(item) ? item.repetitions[0]?.[0] : item;
  if (first === undefined) throw new RangeError("A repeat without cards.");
  return first;
};

const titleOf = ({ phase, head }: GraphCard): string =>
  head === undefined ? phase : `${phase}, head ${head + 1}`;

function columnsOf(items: readonly Item[]): readonly { id: string; items: readonly Item[] }[] {
  const columns = new Map<string, Item[]>();
  for (const item of items) {
    const { phase, head } = firstOf(item);
    const id = phase === "draft" ? `draft ${head}` : phase === "verify" ? phase : "after";
    columns.set(id, [...(columns.get(id) ?? []), item]);
  }
  return [...columns].map(([id, own]) => ({ id, items: own }));
}

export interface PlacedEdge {
  readonly id: string;
  /** Ids of cards. */
  readonly source: string;
  readonly target: string;
  /** To the next card, to a later one of the column, to another column, or to the next repetition. */
  readonly kind: "next" | "skip" | "cross" | "loop";
}

/** Edges between the cards shown; those of folded repetitions are drawn on the first. */
export function layOutEdges(
  layout: GraphLayout,
  items: readonly Item[],
  sources: readonly ReadonlySet<number>[],
): readonly PlacedEdge[] {
  const shown = new Map(layout.cards.map((placed) => [placed.card.id, placed]));
  /** The card that stands for a group, and which repetition of it the group is. */
  const standing = new Map<number, { readonly placed: PlacedCard; readonly time: number }>();
  const stand = (card: GraphCard, placed: PlacedCard | undefined, time: number) => {
    if (card.group !== undefined && placed !== undefined)
      standing.set(card.group, { placed, time });
  };
  for (const item of items) {
    if (!isRepeated(item)) stand(item, shown.get(item.id), 0);
    else
      item.repetitions.forEach((repetition, time) => {
        repetition.forEach((card, index) => {
          const first = item.repetitions[0]?.[index];
          stand(card, shown.get(card.id) ?? shown.get(first?.id ?? ""), time);
        });
      });
  }
  const edges = new Map<string, PlacedEdge>();
  sources.forEach((own, group) => {
    const target = standing.get(group);
    if (target === undefined) return;
    for (const other of own) {
      const source = standing.get(other);
      if (source === undefined) continue;
      const kind = kindOf(source, target);
      const id = `${source.placed.card.id} ${target.placed.card.id} ${kind}`;
      edges.set(id, { id, source: source.placed.card.id, target: target.placed.card.id, kind });
    }
  });
  return [...edges.values()];
}

interface Standing {
  readonly placed: PlacedCard;
  readonly time: number;
}

function kindOf(source: Standing, target: Standing): PlacedEdge["kind"] {
  const [from, to] = [source.placed, target.placed];
  const together = from.repeat !== undefined && from.repeat === to.repeat;
  if (together && source.time !== target.time) return "loop";
  if (from.column !== to.column) return "cross";
  return to.place === from.place + 1 ? "next" : "skip";
}
