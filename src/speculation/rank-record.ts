import type { AcceptanceTable } from "./acceptance-table.ts";
import type { TreeTopology } from "./tree.ts";

/**
 * Where the tokens of a text stood among a drafter's candidates. `record[i][d]`: with token i as the
 * root and the text's own tokens as the path, the rank of token i + 1 + d among the candidates of
 * depth d + 1, or -1 where it is not among those looked at. Rows end with the text.
 */
export type RankRecord = readonly (readonly number[])[];

/** An acceptance table counted from texts. */
export interface CountedAcceptance {
  readonly table: AcceptanceTable;
  /** Positions that a row of `table` is over, by depth. */
  readonly trials: readonly number[];
}

/**
 * How often the rank-r candidate of head d, given the correct prefix, is the text's token: the
 * accuracies of Medusa (2401.10774, section 2.3.3) and Hydra (2402.05109). Every position is a trial,
 * whatever any tree held, so no tree leaves its mark on the table.
 */
export function countAcceptance(
  records: readonly RankRecord[],
  depths: number,
  ranks: number,
): CountedAcceptance {
  const hits = Array.from({ length: depths }, () => Array<number>(ranks).fill(0));
  const trials = Array<number>(depths).fill(0);
  for (const row of records.flat()) {
    for (const [depth, rank] of row.slice(0, depths).entries()) {
      trials[depth] = (trials[depth] ?? 0) + 1;
      const counts = hits[depth];
      if (counts !== undefined && rank >= 0 && rank < ranks) counts[rank] = (counts[rank] ?? 0) + 1;
    }
  }
  const table = hits.map((row, depth) =>
    row.map((count) => count / Math.max(1, trials[depth] ?? 0)),
  );
  return { table, trials };
}

/** What decoding a recorded text with a tree comes to. */
export interface Replay {
  /** Steps it takes. */
  readonly steps: number;
  /**
   * Tokens each step commits, without the steps that begin less than the tree's depth before the
   * text's end, whose drafts nobody knows the fate of.
   */
  readonly committed: readonly number[];
}

/**
 * Decodes a text again from its record: from each root down to the children that hold the text's
 * tokens. An accepted node's candidates are those of the right prefix, so this takes the steps that
 * decoding with the tree takes; no independence is assumed. Ranks the record did not look at count
 * as rejected.
 */
export function replay(tree: TreeTopology, record: RankRecord): Replay {
  const committed: number[] = [];
  let steps = 0;
  for (let at = 0; at < record.length; steps++) {
    const depth = acceptedDepth(tree, record[at] ?? []);
    if (at + tree.maxDepth < record.length) committed.push(depth + 1);
    at += depth + 1;
  }
  return { steps, committed };
}

function acceptedDepth(tree: TreeTopology, ranks: readonly number[]): number {
  let node = 0;
  for (const [depth, rank] of ranks.entries()) {
    const next = tree.children(node).find((child) => tree.ranks[child] === rank);
    if (next === undefined) return depth;
    node = next;
  }
  return ranks.length;
}
