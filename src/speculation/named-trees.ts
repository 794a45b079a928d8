import { HydrantError } from "../util/errors.ts";
import { rootOnly, type TreePath, type TreeTopology, treeFromPaths } from "./tree.ts";

/**
 * Trees published with Medusa and Hydra, one digit per rank, in the order in which a greedy search
 * over the heads' measured accuracies added the nodes (Medusa, 2401.10774, section 2.3.3). The order
 * is order of value, so the first n paths are the search's best tree of n nodes.
 */
const published = {
  mc_sim_7b_63:
    "0 00 1 01 2 000 10 02 3 03 4 04 20 05 001 5 06 6 07 010 11 7 08 002 30 09 8 9 100 " +
    "020 12 003 40 21 004 005 0000 011 006 030 50 13 007 008 009 60 040 14 70 012 200 31 " +
    "22 80 050 15 101 021 90 060 0001 16 070",
  vicuna_7b_stage1:
    "0 00 1 2 01 10 3 02 4 000 03 5 20 04 6 05 11 001 7 30 06 8 9 010 07 08 40 002 12 09 " +
    "21 50 100 003 13 020 011 004 60 14 005 22 030 31 006 70 15 101 200 007 80 0000 41 " +
    "012 040 90 021 23 16 008 050 32 51",
  vicuna_7b_stage2:
    "0 00 1 01 000 10 2 02 001 03 3 010 20 4 002 04 11 100 0000 5 003 05 020 30 011 06 6 " +
    "07 004 40 12 08 7 030 0001 005 21 006 101 0010 200 50 09 012 8 040 021 13 007 0002 " +
    "008 110 0100 60 9 013 0003 102 050 31 0020 70 14",
  vicuna_13b_stage2:
    "0 00 1 000 01 10 2 02 001 010 3 03 20 002 0000 04 100 11 4 003 05 020 5 30 011 06 " +
    "004 0001 07 005 12 0010 030 101 40 006 08 200 09 6 7 21 50 012 0002 8 040 0100 021 " +
    "007 110 13 0020 9 008 050 0003 009 013 102 0011 300 1000",
  vicuna_33b_stage2:
    "0 00 1 01 000 10 2 02 001 03 3 010 20 04 4 002 11 100 05 5 0000 003 30 020 06 011 6 " +
    "004 07 7 12 40 8 030 005 0001 08 21 09 101 200 006 50 0010 13 012 040 007 021 9 110 " +
    "0002 60 008 0100 70 013 050 14 009 31 102 22",
  zephyr_stage2:
    "0 00 1 01 2 000 10 02 3 03 4 20 001 04 5 05 010 11 6 002 30 06 7 07 08 003 100 09 " +
    "020 12 40 8 9 21 011 004 0000 50 030 13 005 006 60 200 101 012 040 14 31 22 007 70 " +
    "021 008 013 050 15 009 110 0001 0010 41 23",
} as const;

export type PublishedTreeName = keyof typeof published;

export const publishedTreeNames = Object.keys(published) as readonly PublishedTreeName[];

/** The paths of a published tree, in published order. */
export function publishedPaths(name: PublishedTreeName): readonly TreePath[] {
  return published[name].split(" ").map((digits) => Array.from(digits, Number));
}

/**
 * A tree by name: a published one, `single` (one drafted node), `chain-N` (N nodes in a row, each the
 * first choice), or `none` (plain decoding).
 * @throws HydrantError `tree/unknown-name` listing the names; `tree/too-deep` for a long chain.
 */
export function namedTree(name: string): TreeTopology {
  if (isPublished(name)) return treeFromPaths(publishedPaths(name), name);
  if (name === "none") return rootOnly;
  if (name === "single") return treeFromPaths([[0]], name);
  const chain = /^chain-([1-9]\d{0,3})$/.exec(name);
  if (chain !== null) {
    const length = Number(chain[1]);
    const paths = Array.from({ length }, (_, depth) => Array<number>(depth + 1).fill(0));
    return treeFromPaths(paths, name);
  }
  throw unknownName(name, "none, single, chain-N, ");
}

/**
 * The first `nodes` drafted nodes of a published tree: its search's best tree of that size.
 * @throws HydrantError `tree/unknown-name`, or `tree/prefix` when the tree has fewer nodes.
 */
export function prefixTree(name: string, nodes: number): TreeTopology {
  if (!isPublished(name)) throw unknownName(name, "");
  const paths = publishedPaths(name);
  if (!Number.isInteger(nodes) || nodes < 0 || nodes > paths.length) {
    throw new HydrantError("tree/prefix", `Tree "${name}" has no first ${nodes} nodes.`, {
      hint: `Ask for 0 to ${paths.length}.`,
    });
  }
  return treeFromPaths(paths.slice(0, nodes), `${name}/${nodes}`);
}

function isPublished(name: string): name is PublishedTreeName {
  return Object.hasOwn(published, name);
}

function unknownName(name: string, others: string): HydrantError {
  return new HydrantError("tree/unknown-name", `There is no tree called "${name}".`, {
    hint: `Known: ${others}${publishedTreeNames.join(", ")}.`,
  });
}
