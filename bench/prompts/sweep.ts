import type { GenerateOptions, Model } from "../../src/index.ts";
import {
  type AcceptanceTable,
  bestTree,
  expectedTokens,
} from "../../src/speculation/acceptance-table.ts";
import { type RankRecord, replay } from "../../src/speculation/rank-record.ts";
import type { TreeTopology } from "../../src/speculation/tree.ts";
import type { Turn } from "./conversations.ts";
import { decodeTurns, stepTime, type TurnRun } from "./decode-turns.ts";
import type { SweepPoint } from "./results.ts";

/** A turn with the ranks its answer's tokens have among the heads' candidates. */
export interface RankedTurn {
  readonly turn: Turn;
  readonly record: RankRecord;
}

export interface SweepOptions {
  /** Drafted nodes of the trees. */
  readonly sizes: readonly number[];
  readonly request: GenerateOptions;
  /** Turns decoded with every tree. */
  readonly sample: number;
}

/** The best static tree of every size, largest first: predicted, replayed, and decoded with. */
export async function sweep(
  model: Model,
  table: AcceptanceTable,
  ranked: readonly RankedTurn[],
  { sizes, request, sample }: SweepOptions,
): Promise<SweepPoint[]> {
  const points: SweepPoint[] = [];
  const decoded = spreadOut(ranked, sample);
  const records = ranked.map(({ record }) => record);
  for (const size of sizes.toSorted((a, b) => b - a)) {
    const tree = bestTree(table, size);
    // A table of certainties has no use for so many nodes.
    if (points.some(({ nodes }) => nodes === tree.size - 1)) continue;
    const turns = decoded.map(({ turn }) => turn);
    const withTree = { ...request, method: model.method, tree };
    await decodeTurns(model, turns.slice(0, 1), withTree);
    const runs = await decodeTurns(model, turns, withTree);
    points.push({
      nodes: tree.size - 1,
      paths: tree.paths.slice(1),
      expected: expectedTokens(tree, table),
      tokensPerStep: replayedTokens(tree, records),
      stepMs: stepTime(runs),
      sameSteps: sameSteps(tree, decoded, runs),
    });
  }
  return points;
}

/** Tokens per step of a tree over recorded texts; NaN when all are shorter than the tree is deep. */
export function replayedTokens(tree: TreeTopology, records: readonly RankRecord[]): number {
  const committed = records.flatMap((record) => replay(tree, record).committed);
  return committed.reduce((total, count) => total + count, 0) / committed.length;
}

/** How many turns took decoding as many steps as their replay. */
export function sameSteps(
  tree: TreeTopology,
  ranked: readonly RankedTurn[],
  runs: readonly TurnRun[],
): { turns: number; of: number } {
  const same = ranked.filter(
    ({ record }, index) => replay(tree, record).steps === runs[index]?.committed.length,
  );
  return { turns: same.length, of: ranked.length };
}

/** At most `count` of the items, from the whole length of the list. */
export function spreadOut<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from(
    { length: count },
    (_, i) => items[Math.floor((i * items.length) / count)],
  ).flatMap((item) => (item === undefined ? [] : [item]));
}
