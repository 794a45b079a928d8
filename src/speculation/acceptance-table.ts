import { HydrantError } from "../util/errors.ts";
import { maxTreeDepth, maxTreeNodes, type TreeTopology, treeFromPaths } from "./tree.ts";

/**
 * `table[d][r]`: probability that the rank-r child of an accepted node at depth d is accepted. A
 * depth or rank beyond the table counts as 0. The ranks of a depth exclude each other, so a row
 * adds up to at most 1.
 */
export type AcceptanceTable = readonly (readonly number[])[];

/**
 * A table to start from when nothing has been measured: about what the first Medusa head of
 * Vicuna-7B reaches (top-1 0.56, top-5 0.78 in its training log), a little less at each depth.
 */
export function priorAcceptance(depths: number, ranks = 10): AcceptanceTable {
  return Array.from({ length: depths }, (_, depth) =>
    Array.from({ length: ranks }, (_, rank) => 0.9 ** depth * (rank === 0 ? 0.55 : 0.11 / rank)),
  );
}

/**
 * Expected tokens a step commits, 1 + Σ over drafted nodes of the product of the probabilities along
 * their path (Medusa, 2401.10774, section 2.3.3): 1 for plain decoding.
 * @param depthLimit count only nodes down to this depth, as when few tokens are still wanted.
 */
export function expectedTokens(
  tree: TreeTopology,
  table: AcceptanceTable,
  depthLimit = Number.POSITIVE_INFINITY,
): number {
  const reached = new Float64Array(tree.size);
  reached[0] = 1;
  let sum = 1;
  for (let node = 1; node < tree.size; node++) {
    const depth = tree.depths[node] ?? 0;
    if (depth > depthLimit) break;
    const probability = table[depth - 1]?.[tree.ranks[node] ?? 0] ?? 0;
    const here = (reached[tree.parents[node] ?? 0] ?? 0) * probability;
    reached[node] = here;
    sum += here;
  }
  return sum;
}

export interface TreeLimits {
  /** Deepest node; default: the table's depths. */
  readonly maxDepth?: number;
  /** Most children of a node; default: the table's ranks. */
  readonly maxChildren?: number;
}

/**
 * The tree of `nodes` drafted nodes with the largest expected tokens: a node's next sibling or first
 * child, whichever is most probable, until the budget is used (Medusa's greedy search; optimal
 * when ranks are ordered). Where a measured row rises with the rank it is taken as flat, which
 * keeps ranks contiguous and expanded children first, as Hydra heads need. Ties go to the smaller
 * (length, path). Nodes of probability 0 are left out, so the tree can be smaller than asked; a tree
 * for a smaller budget is part of the one for a larger.
 * @throws HydrantError `tree/budget` for a budget that is no tree size, `tree/acceptance` for a
 *   table entry that is no probability.
 */
export function bestTree(
  table: AcceptanceTable,
  nodes: number,
  limits: TreeLimits = {},
): TreeTopology {
  if (!Number.isInteger(nodes) || nodes < 0 || nodes >= maxTreeNodes) {
    throw new HydrantError("tree/budget", `A tree cannot have ${nodes} drafted nodes.`, {
      hint: `Ask for 0 to ${maxTreeNodes - 1}.`,
    });
  }
  const depths = Math.min(limits.maxDepth ?? table.length, table.length, maxTreeDepth);
  const falling = table.slice(0, depths).map((row, depth) => {
    let least = 1;
    return row.slice(0, limits.maxChildren ?? row.length).map((probability, rank) => {
      if (!(probability >= 0 && probability <= 1)) {
        throw new HydrantError(
          "tree/acceptance",
          `Acceptance at depth ${depth}, rank ${rank} is ${probability}.`,
          { hint: "Entries are probabilities between 0 and 1." },
        );
      }
      least = Math.min(least, probability);
      return least;
    });
  });

  /** Open places, by parent; `value` is the probability of reaching the place. */
  const open: { path: readonly number[]; parentValue: number; value: number }[] = [];
  const offer = (parent: readonly number[], rank: number, parentValue: number): void => {
    const value = parentValue * (falling[parent.length]?.[rank] ?? 0);
    if (value > 0) open.push({ path: [...parent, rank], parentValue, value });
  };
  const chosen: (readonly number[])[] = [];
  offer([], 0, 1);
  while (chosen.length < nodes) {
    // A scan instead of a heap: a few hundred places, and trees are searched once per model.
    const best = open.reduce<number>((at, place, index) => {
      const leader = open[at];
      return leader === undefined || isBefore(place, leader) ? index : at;
    }, -1);
    const [place] = best < 0 ? [] : open.splice(best, 1);
    if (place === undefined) break;
    chosen.push(place.path);
    offer(place.path.slice(0, -1), (place.path.at(-1) ?? 0) + 1, place.parentValue);
    offer(place.path, 0, place.value);
  }
  return treeFromPaths(chosen, `best-${chosen.length}`);
}

interface Place {
  readonly path: readonly number[];
  readonly value: number;
}

function isBefore(a: Place, b: Place): boolean {
  if (a.value !== b.value) return a.value > b.value;
  if (a.path.length !== b.path.length) return a.path.length < b.path.length;
  const depth = a.path.findIndex((rank, index) => rank !== b.path[index]);
  return (a.path[depth] ?? 0) < (b.path[depth] ?? 0);
}

/** How many trials the prior is worth. */
const PRIOR_TRIALS = 10;

/**
 * An acceptance table learnt online: every accepted node whose children were drafted is one trial for
 * each of their ranks. At first the mean of the prior and the trials, then an exponential moving
 * average, so it follows the text.
 */
export class AcceptanceEstimate {
  readonly #entries: { value: number; trials: number }[][];
  readonly #rate: number;

  /** @param rate least weight of one trial, in (0, 1]; 0.02 forgets within some 50 trials. */
  constructor(prior: AcceptanceTable, rate = 0.02) {
    this.#entries = prior.map((row) => row.map((value) => ({ value, trials: PRIOR_TRIALS })));
    this.#rate = rate;
  }

  get table(): AcceptanceTable {
    return this.#entries.map((row) => row.map(({ value }) => value));
  }

  /** @param path accepted nodes of the tree, root first. */
  observe(tree: TreeTopology, path: readonly number[]): void {
    for (const [depth, node] of path.entries()) {
      const accepted = path[depth + 1];
      for (const child of tree.children(node)) {
        const entry = this.#entry(depth, tree.ranks[child] ?? 0);
        entry.trials++;
        const weight = Math.max(this.#rate, 1 / entry.trials);
        entry.value += weight * ((child === accepted ? 1 : 0) - entry.value);
      }
    }
  }

  #entry(depth: number, rank: number): { value: number; trials: number } {
    while (this.#entries.length <= depth) this.#entries.push([]);
    const row = this.#entries[depth] ?? [];
    while (row.length <= rank) row.push({ value: 0, trials: PRIOR_TRIALS });
    return row[rank] ?? { value: 0, trials: PRIOR_TRIALS };
  }
}
