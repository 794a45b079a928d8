import type { GraphLayout, PlacedCard } from "./graph-layout.ts";

/**
 * The card an arrow key leads to: up and down in the order they run, left and right to the nearest of
 * the next column; Home and End. Undefined for other keys and where there is none.
 */
export function nextCard(
  { cards }: GraphLayout,
  from: PlacedCard | undefined,
  key: string,
): PlacedCard | undefined {
  const index = from === undefined ? -1 : cards.indexOf(from);
  switch (key) {
    case "Home":
      return cards[0];
    case "End":
      return cards.at(-1);
    case "ArrowDown":
      return cards[index + 1];
    case "ArrowUp":
      return cards[index - 1];
    case "ArrowLeft":
    case "ArrowRight":
      return from === undefined ? cards[0] : beside(cards, from, key === "ArrowRight" ? 1 : -1);
    default:
      return undefined;
  }
}

function beside(
  cards: readonly PlacedCard[],
  from: PlacedCard,
  direction: 1 | -1,
): PlacedCard | undefined {
  const columns = [...new Set(cards.map(({ x }) => x))].sort((a, b) => a - b);
  const x = columns[columns.indexOf(from.x) + direction];
  return cards
    .filter((card) => card.x === x)
    .sort((a, b) => Math.abs(a.y - from.y) - Math.abs(b.y - from.y))[0];
}
