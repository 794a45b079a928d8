import type { RecordedGeneration, RecordedStep } from "../../inspection/recorded-generation.ts";

/** Figures over all steps of a generation. Counts are of what was committed, given out or not. */
export interface GenerationStatistics {
  readonly steps: number;
  readonly committed: number;
  readonly given: number;
  /** Committed tokens that were drafted. */
  readonly accepted: number;
  /** Ascending by tokens, from 1 to the most there could be, none left out. */
  readonly lengths: readonly LengthCount[];
  /** Depths from 1 on. */
  readonly depths: readonly DepthCount[];
  /** Ranks that were offered, ascending. */
  readonly ranks: readonly RankCount[];
  readonly trees: readonly TreeUse[];
  readonly time: TimeShares;
}

/** Steps that committed so many tokens, by what ended them. */
export interface LengthCount {
  readonly tokens: number;
  /** The last committed node had children, and none held the token that was wanted. */
  readonly rejected: number;
  /** It was a leaf: every draft on the way was accepted. */
  readonly exhausted: number;
}

export interface DepthCount {
  readonly depth: number;
  /** Steps that offered a draft here below the accepted ones. */
  readonly reached: number;
  readonly accepted: number;
  readonly ranks: readonly RankCount[];
}

export interface RankCount {
  readonly rank: number;
  /** Steps that offered a draft of this rank below the accepted ones. */
  readonly offered: number;
  readonly accepted: number;
}

export interface TreeUse {
  /** Index into `RecordedGeneration.trees`. */
  readonly tree: number;
  readonly name: string;
  readonly nodes: number;
  readonly steps: number;
  readonly tokens: number;
  readonly ms: number;
}

/** Milliseconds. */
export interface TimeShares {
  readonly prefill: number;
  /** Steps on the device. */
  readonly steps: number;
  /** Decoding outside of the steps: text, trees, the caller. */
  readonly rest: number;
}

export function generationStatistics(generation: RecordedGeneration): GenerationStatistics {
  const { steps, trees, prefillMs, decodeMs } = generation;
  const children = trees.map(({ parents, ranks }) => childRanks(parents, ranks));
  const committed = sum(steps, ({ path }) => path.length);
  const stepMs = sum(steps, ({ ms }) => ms);
  const depths = depthCounts(steps, children);
  const most = Math.max(1, ...trees.map((tree) => Math.max(...tree.depths) + 1));
  return {
    steps: steps.length,
    committed,
    given: sum(steps, ({ given }) => given),
    accepted: committed - steps.length,
    lengths: Array.from({ length: most }, (_, index) => {
      const ending = steps.filter(({ path }) => path.length === index + 1);
      const exhausted = ending.filter((step) => childrenOfLast(step, children).size === 0).length;
      return { tokens: index + 1, exhausted, rejected: ending.length - exhausted };
    }),
    depths,
    ranks: mergedRanks(depths),
    trees: trees.map(({ name, parents }, tree) => {
      const used = steps.filter((step) => step.tree === tree);
      return {
        tree,
        name,
        nodes: parents.length,
        steps: used.length,
        tokens: sum(used, ({ path }) => path.length),
        ms: sum(used, ({ ms }) => ms),
      };
    }),
    time: { prefill: prefillMs, steps: stepMs, rest: Math.max(0, decodeMs - stepMs) },
  };
}

/** How a step ended; `none` for a step without drafts. */
export type StepEnd = "rejected" | "exhausted" | "none";

export function stepEnd(generation: RecordedGeneration, step: RecordedStep): StepEnd {
  const parents = generation.trees[step.tree]?.parents ?? [];
  if (parents.length <= 1) return "none";
  return parents.includes(step.path.at(-1) ?? 0) ? "rejected" : "exhausted";
}

/** By node: rank of each child to the child. */
type ChildRanks = readonly ReadonlyMap<number, number>[];

function childRanks(parents: readonly number[], ranks: readonly number[]): ChildRanks {
  const children = parents.map(() => new Map<number, number>());
  for (const [node, parent] of parents.entries()) children[parent]?.set(ranks[node] ?? 0, node);
  return children;
}

function childrenOfLast(step: RecordedStep, children: readonly ChildRanks[]) {
  return children[step.tree]?.[step.path.at(-1) ?? 0] ?? new Map<number, number>();
}

function depthCounts(
  steps: readonly RecordedStep[],
  children: readonly ChildRanks[],
): DepthCount[] {
  const counts: { reached: number; accepted: number; ranks: RankTally }[] = [];
  for (const { tree, path } of steps) {
    for (const [depth, node] of path.entries()) {
      const offered = children[tree]?.[node];
      if (offered === undefined || offered.size === 0) continue;
      counts[depth] ??= { reached: 0, accepted: 0, ranks: new Map() };
      const count = counts[depth];
      const next = path[depth + 1];
      count.reached++;
      if (next !== undefined) count.accepted++;
      for (const [rank, child] of offered) tally(count.ranks, rank, 1, child === next ? 1 : 0);
    }
  }
  return counts.map(({ reached, accepted, ranks }, index) => ({
    depth: index + 1,
    reached,
    accepted,
    ranks: ranksOf(ranks),
  }));
}

function mergedRanks(depths: readonly DepthCount[]): RankCount[] {
  const all: RankTally = new Map();
  for (const { rank, offered, accepted } of depths.flatMap(({ ranks }) => ranks))
    tally(all, rank, offered, accepted);
  return ranksOf(all);
}

type RankTally = Map<number, { offered: number; accepted: number }>;

function tally(ranks: RankTally, rank: number, offered: number, accepted: number): void {
  const known = ranks.get(rank) ?? { offered: 0, accepted: 0 };
  ranks.set(rank, known);
  known.offered += offered;
  known.accepted += accepted;
}

const ranksOf = (ranks: RankTally): RankCount[] =>
  [...ranks].map(([rank, count]) => ({ rank, ...count })).sort((a, b) => a.rank - b.rank);

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
