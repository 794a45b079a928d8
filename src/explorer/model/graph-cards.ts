import type { ProgramOutline } from "../../inspection/stored-page.ts";
import { type Phase, phasesOf } from "./phases.ts";

/** A group, or a launch of no group, as a card of the graph. */
export interface GraphCard {
  /** `group 12`, `launch 201`. */
  readonly id: string;
  readonly group: number | undefined;
  /** Indices into `launches`, ascending. */
  readonly launches: readonly number[];
  readonly phase: Phase;
  /** Of the draft head it belongs to; undefined outside of drafting. */
  readonly head: number | undefined;
}

/** Cards that run `times` times in a row, differing in their weights alone. */
export interface RepeatedCards {
  readonly id: string;
  /** The cards of each repetition, in order. */
  readonly repetitions: readonly (readonly GraphCard[])[];
}

export type Item = GraphCard | RepeatedCards;

export const isRepeated = (item: Item): item is RepeatedCards => "repetitions" in item;

/** Every card, in the order they run. */
export function graphCards(program: ProgramOutline): readonly GraphCard[] {
  const phases = phasesOf(program);
  const cards = new Map<string, GraphCard & { readonly launches: number[] }>();
  program.launches.forEach(({ group, label }, launch) => {
    const id = group === undefined ? `launch ${launch}` : `group ${group}`;
    const known = cards.get(id);
    if (known !== undefined) {
      known.launches.push(launch);
      return;
    }
    const phase = phases[launch] ?? "verify";
    const head = phase === "draft" ? headOf(program, launch, label) : undefined;
    cards.set(id, { id, group, launches: [launch], phase, head });
  });
  return [...cards.values()];
}

/** A launch between two heads (gathering its rows) belongs to the head after it. */
function headOf({ launches }: ProgramOutline, launch: number, label: string): number {
  for (let next = launch; next < launches.length; next++) {
    const match = /\bdraft\.(\d+)\./.exec(next === launch ? label : (launches[next]?.label ?? ""));
    if (match !== null) return Number(match[1]);
  }
  return 0;
}

/** Cards with those folded together that repeat. */
export function foldCards(
  cards: readonly GraphCard[],
  { repeats }: ProgramOutline,
): readonly Item[] {
  const byLaunch = new Map(cards.flatMap((card) => card.launches.map((own) => [own, card])));
  const folded = new Map<GraphCard, RepeatedCards>();
  for (const { start, period, times } of repeats) {
    const repetitions = Array.from({ length: times }, (_, time) => [
      ...new Set(
        Array.from({ length: period }, (__, step) => byLaunch.get(start + time * period + step)),
      ),
    ]).map((own) => own.filter((card) => card !== undefined));
    const all = repetitions.flat();
    const first = all[0];
    // A group that runs on beyond the repetition would be torn apart.
    const whole = all.flatMap(({ launches }) => launches).length === period * times;
    const distinct = new Set(all).size === all.length;
    if (first === undefined || !whole || !distinct) continue;
    const item = { id: `repeat ${start}`, repetitions };
    for (const card of all) folded.set(card, item);
  }
  return [...new Set(cards.map((card): Item => folded.get(card) ?? card))];
}

/** For every group, the groups whose results it reads, directly or through inline nodes. */
export function groupSources({ nodes, groups }: ProgramOutline): readonly ReadonlySet<number>[] {
  const maker = new Map(
    nodes.flatMap((node, index) =>
      node.results.map(({ value }): [number, number] => [value, index]),
    ),
  );
  const found = new Map<number, ReadonlySet<number>>();
  /** Groups that a value comes from. */
  const makersOf = (value: number): ReadonlySet<number> => {
    const index = maker.get(value);
    const node = index === undefined ? undefined : nodes[index];
    if (node === undefined || index === undefined) return new Set();
    if (node.group !== undefined) return new Set([node.group]);
    const known = found.get(index);
    if (known !== undefined) return known;
    const own = new Set(node.operands.flatMap((operand) => [...makersOf(operand)]));
    found.set(index, own);
    return own;
  };
  return groups.map((group, index) => {
    const operands = group.nodes.flatMap((node) => nodes[node]?.operands ?? []);
    const sources = new Set(operands.flatMap((operand) => [...makersOf(operand)]));
    sources.delete(index);
    return sources;
  });
}
