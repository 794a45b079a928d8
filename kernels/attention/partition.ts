/*
 * How the keys of a query are divided. Positions alone decide (partition.cuh), never the number of
 * rows or the length of the context: that is what makes a row's bits the same in every program.
 */

/** No node of a tree may stand further than this below the root's parent: root 1, its children 2, …. */
export const maxTreeDepth = 32;

/** Keys of a block, the unit that tensor cores work on. */
export const blockKeys = 64;

/** Splits of `shortBlocks` blocks, then splits of `longBlocks`. */
export const splits = { short: 32, shortBlocks: 4, longBlocks: 16 } as const;

/** Splits that the first `keys` keys touch: as many partial results a row has at most. */
export function splitsOf(keys: number): number {
  const blocks = Math.ceil(keys / blockKeys);
  const beyond = blocks - splits.short * splits.shortBlocks;
  return beyond <= 0
    ? Math.ceil(blocks / splits.shortBlocks)
    : splits.short + Math.ceil(beyond / splits.longBlocks);
}

/** The members of a kernel's Config that say the same. */
export const splitConfig = `
  static constexpr int kShortSplits = ${splits.short};
  static constexpr int kShortBlocks = ${splits.shortBlocks};
  static constexpr int kLongBlocks = ${splits.longBlocks};`.trimStart();

/**
 * Blocks that share the splits of one group of queries. Enough of them to fill the device, and one
 * that walks over all splits where the groups alone fill it, which needs no memory for partials.
 */
export function splitWorkers(groups: number, capacity: number, multiprocessors: number): number {
  if (2 * groups >= multiprocessors) return 1;
  return Math.min(Math.ceil((3 * multiprocessors) / groups), Math.max(splitsOf(capacity), 1));
}
