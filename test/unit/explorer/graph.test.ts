import { describe, expect, it } from "vitest";
import {
  foldCards,
  graphCards,
  groupSources,
  isRepeated,
} from "../../../src/explorer/model/graph-cards.ts";
import { layOutEdges, layOutGraph } from "../../../src/explorer/model/graph-layout.ts";
import { nextCard } from "../../../src/explorer/model/graph-walk.ts";
import { smallProgram } from "./small-program.ts";

const program = smallProgram();
const cards = graphCards(program);
const items = foldCards(cards, program);
const none: ReadonlySet<string> = new Set();

describe("cards of a graph", () => {
  it("are one per group, and one for the launch of no group", () => {
    expect(cards.map(({ id }) => id)).toEqual([
      ...program.groups.map((_, index) => `group ${index}`),
      "launch 15",
    ]);
  });

  it("belong to the head whose rows they prepare", () => {
    expect(cards.slice(0, 5).map(({ head }) => head)).toEqual([0, 0, 1, 1, undefined]);
  });

  it("fold where launches repeat", () => {
    const repeat = items.find(isRepeated);
    expect(repeat?.repetitions.map((own) => own.map(({ id }) => id))).toEqual([
      ["group 5", "group 6"],
      ["group 7", "group 8"],
      ["group 9", "group 10"],
    ]);
    expect(items).toHaveLength(cards.length - 5);
  });

  it("do not fold where a group runs on beyond the repetition", () => {
    const launches = program.launches.map((launch, index) =>
      index === 11 ? { ...launch, group: 10 } : launch,
    );
    const torn = { ...program, launches };
    expect(foldCards(graphCards(torn), torn).some(isRepeated)).toBe(false);
  });

  it("read through nodes of no group", () => {
    const nodes = program.nodes.map((node, index) =>
      index === 3 ? { ...node, group: undefined } : node,
    );
    const groups = program.groups.map((group, index) =>
      index === 3 ? { ...group, nodes: [] } : group,
    );
    expect([...(groupSources({ ...program, nodes, groups })[4] ?? [])]).toEqual([2]);
  });
});

describe("the layout of a graph", () => {
  it("has no two cards over each other, folded or not", () => {
    for (const unfolded of [none, new Set(["repeat 5"])]) {
      const { cards: placed } = layOutGraph(items, unfolded);
      expect(placed).toHaveLength(unfolded.size === 0 ? cards.length - 4 : cards.length);
      for (const a of placed)
        for (const b of placed)
          if (a !== b)
            expect(
              a.x + a.width <= b.x ||
                b.x + b.width <= a.x ||
                a.y + a.height <= b.y ||
                b.y + b.height <= a.y,
            ).toBe(true);
    }
  });

  it("keeps what repeats inside its frame", () => {
    for (const unfolded of [none, new Set(["repeat 5"])]) {
      const { cards: placed, repeats } = layOutGraph(items, unfolded);
      const [frame] = repeats;
      const inside = placed.filter(({ card }) => (card.group ?? 0) >= 5 && (card.group ?? 99) < 11);
      for (const card of inside) {
        expect(card.x).toBeGreaterThan(frame?.x ?? 0);
        expect(card.y + card.height).toBeLessThan((frame?.y ?? 0) + (frame?.height ?? 0));
        expect(card.x + card.width).toBeLessThan((frame?.x ?? 0) + (frame?.width ?? 0));
      }
    }
  });

  it("draws the edge to the next repetition back to the first", () => {
    const layout = layOutGraph(items, none);
    const edges = layOutEdges(layout, items, groupSources(program));
    expect(edges.filter(({ kind }) => kind === "loop").map(({ id }) => id)).toEqual([
      "group 6 group 5 loop",
    ]);
    expect(edges.find(({ target }) => target === "group 11")?.source).toBe("group 6");
  });
});

describe("a walk by arrow keys", () => {
  const layout = layOutGraph(items, none);
  const at = (id: string) => layout.cards.find(({ card }) => card.id === id);

  it("goes down in the order groups run, and ends at the last", () => {
    expect(nextCard(layout, at("group 1"), "ArrowDown")?.card.id).toBe("group 2");
    expect(nextCard(layout, at("launch 15"), "ArrowDown")).toBeUndefined();
    expect(nextCard(layout, undefined, "ArrowDown")?.card.id).toBe("group 0");
  });

  it("goes sideways to the nearest card of the next column", () => {
    expect(nextCard(layout, at("group 1"), "ArrowRight")?.card.id).toBe("group 3");
    expect(nextCard(layout, at("group 3"), "ArrowLeft")?.card.id).toBe("group 1");
    expect(nextCard(layout, at("group 0"), "ArrowLeft")).toBeUndefined();
  });
});
