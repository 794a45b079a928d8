import { HydrantError } from "../util/errors.ts";

/** A path from the root: the rank of the child taken at each depth. */
export type TreePath = readonly number[];

/** Most nodes of a tree, root included. */
export const maxTreeNodes = 1024;
/** Deepest tree. */
export const maxTreeDepth = 64;

/**
 * The shape of a draft tree: which ranks of which drafter proposals are verified together. Immutable;
 * typed arrays are shared, not copied, and must not be written. Made by `treeFromPaths`.
 *
 * Node 0 is the root, the token that is committed anyway; the others follow sorted by (path length,
 * path), so a parent comes before its children and a depth is one run of nodes. Plain decoding is
 * the tree with only the root.
 */
export class TreeTopology {
  /** For people; trees of one shape may have several names. */
  readonly name: string;
  /** Identity of the shape: equal for equal sets of paths. Usable as a map key. */
  readonly key: string;
  /** Nodes, root included. */
  readonly size: number;
  /** Depth of the deepest node; the root's is 0. */
  readonly maxDepth: number;
  /** Path of every node; the root's is empty. */
  readonly paths: readonly TreePath[];
  /** Parent of every node [size]; -1 for the root. */
  readonly parents: Int32Array;
  /** Depth of every node [size] = its position relative to the root's. */
  readonly depths: Int32Array;
  /** Last rank of every node's path [size]; the root's is 0. */
  readonly ranks: Int32Array;
  /** Node indices of every depth, ascending. */
  readonly levels: readonly (readonly number[])[];
  readonly #children: readonly (readonly number[])[];

  /** Takes sorted, checked paths without the root's; `treeFromPaths` is the way in. */
  constructor(sorted: readonly TreePath[], name: string) {
    const nodeOf = new Map<string, number>([["", 0]]);
    const parents = [-1];
    const children: number[][] = [[]];
    const levels: number[][] = [[0]];
    for (const [index, path] of sorted.entries()) {
      const node = index + 1;
      nodeOf.set(pathKey(path), node);
      const parent = nodeOf.get(pathKey(path.slice(0, -1))) ?? -1;
      parents.push(parent);
      children.push([]);
      children[parent]?.push(node);
      if (levels.length === path.length) levels.push([]);
      levels[path.length]?.push(node);
    }
    this.name = name;
    this.key = sorted.map(pathKey).join(",");
    this.size = parents.length;
    this.maxDepth = levels.length - 1;
    this.paths = [[], ...sorted];
    this.parents = Int32Array.from(parents);
    this.depths = Int32Array.from(this.paths, (path) => path.length);
    this.ranks = Int32Array.from(this.paths, (path) => path.at(-1) ?? 0);
    this.levels = levels;
    this.#children = children;
  }

  /** A node's children by ascending rank; empty for a leaf. */
  children(node: number): readonly number[] {
    return this.#children[node] ?? [];
  }

  /** Nodes of a depth that have children, in tree order: the rows a drafter runs at that depth. */
  expandedNodes(depth: number): readonly number[] {
    return (this.levels[depth] ?? []).filter((node) => this.children(node).length > 0);
  }

  /**
   * Who attends to whom within the tree: bit j mod 64 of word floor(j / 64) of row i says that node
   * i sees node j. A node sees itself, its ancestors and the root.
   * @param wordsPerRow at least ceil(size / 64), which it is by default; spare words are 0.
   * @returns rows one after the other, [size × wordsPerRow].
   */
  ancestorMask(wordsPerRow = Math.ceil(this.size / 64)): BigUint64Array {
    if (wordsPerRow * 64 < this.size) {
      throw new RangeError(`${wordsPerRow} words of 64 bits are too few for ${this.size} nodes`);
    }
    const mask = new BigUint64Array(this.size * wordsPerRow);
    for (let node = 0; node < this.size; node++) {
      const row = mask.subarray(node * wordsPerRow, (node + 1) * wordsPerRow);
      const parent = this.parents[node] ?? -1;
      if (parent >= 0) row.set(mask.subarray(parent * wordsPerRow, (parent + 1) * wordsPerRow));
      const word = node >> 6;
      row[word] = (row[word] ?? 0n) | (1n << BigInt(node & 63));
    }
    return mask;
  }

  /**
   * Root-to-leaf paths as node indices, padded with -1 to maxDepth + 1. Leaves go from the last node
   * to the first (the order of the Hydra and Medusa implementations), so row 0 is a deepest path.
   */
  get retrieveIndices(): readonly (readonly number[])[] {
    return this.#leaves().map((leaf) => {
      const row: number[] = [];
      for (let node = leaf; node >= 0; node = this.parents[node] ?? -1) row.unshift(node);
      return [...row, ...Array<number>(this.maxDepth + 1 - row.length).fill(-1)];
    });
  }

  /** Drafted nodes in each row of `retrieveIndices`: the leaf's depth. */
  get maxAccepts(): readonly number[] {
    return this.#leaves().map((leaf) => this.depths[leaf] ?? 0);
  }

  #leaves(): readonly number[] {
    const nodes = Array.from({ length: this.size }, (_, i) => this.size - 1 - i);
    return nodes.filter((node) => this.children(node).length === 0);
  }
}

/** Plain decoding: nothing but the root. */
export const rootOnly = new TreeTopology([], "none");

/**
 * The tree of a set of paths, in any order.
 * @param name for people; default `custom`.
 * @param source what error messages point at, for example the file the paths come from.
 * @throws HydrantError `tree/…` for an empty path, a rank that is no whole number from 0 on, a path
 *   given twice, a path whose parent is missing, or a tree beyond `maxTreeNodes` or `maxTreeDepth`.
 */
export function treeFromPaths(
  paths: readonly TreePath[],
  name = "custom",
  source: string | undefined = undefined,
): TreeTopology {
  const fail = (kind: string, message: string, hint: string): never => {
    throw new HydrantError(
      `tree/${kind}`,
      message,
      source === undefined ? { hint } : { path: source, hint },
    );
  };
  if (paths.length >= maxTreeNodes) {
    fail(
      "too-many-nodes",
      `Tree "${name}" has ${paths.length} paths.`,
      `A tree holds at most ${maxTreeNodes} nodes with the root.`,
    );
  }
  const known = new Set<string>([""]);
  for (const [index, path] of paths.entries()) {
    const shown = `Path ${index} [${path.join(", ")}] of tree "${name}"`;
    if (path.length === 0) {
      fail("empty-path", `${shown} is empty.`, "The root is implied; leave it out.");
    }
    if (path.length > maxTreeDepth) {
      fail(
        "too-deep",
        `${shown.slice(0, 80)} is ${path.length} deep.`,
        `The limit is ${maxTreeDepth}.`,
      );
    }
    for (const rank of path) {
      if (!Number.isInteger(rank) || rank < 0 || rank >= 2 ** 31) {
        fail("bad-rank", `${shown} has rank ${rank}.`, "Ranks are whole numbers from 0 on.");
      }
    }
    if (known.has(pathKey(path))) {
      fail("duplicate-path", `${shown} occurs twice.`, "Remove one of them.");
    }
    known.add(pathKey(path));
  }
  for (const [index, path] of paths.entries()) {
    const parent = path.slice(0, -1);
    if (!known.has(pathKey(parent))) {
      fail(
        "missing-parent",
        `Path ${index} [${path.join(", ")}] of tree "${name}" has no parent.`,
        `Add the path [${parent.join(", ")}].`,
      );
    }
  }
  const sorted = paths.map((path) => Object.freeze([...path])).sort(comparePaths);
  return new TreeTopology(sorted, name);
}

/** The tree without its nodes below a depth. */
export function truncateDepth(tree: TreeTopology, depth: number): TreeTopology {
  if (tree.maxDepth <= depth) return tree;
  const paths = tree.paths.filter((path) => path.length > 0 && path.length <= depth);
  return treeFromPaths(paths, `${tree.name}/depth-${depth}`);
}

/**
 * Checks that a drafter has a head for every depth of a tree.
 * @param heads how many tokens ahead of the root the drafter can propose.
 * @throws HydrantError `tree/deeper-than-heads`.
 */
export function checkDepth(tree: TreeTopology, heads: number): TreeTopology {
  if (tree.maxDepth > 0 && heads === 0) {
    throw new HydrantError(
      "tree/deeper-than-heads",
      `Tree "${tree.name}" needs draft heads, and none are loaded.`,
      { hint: "Load heads, or leave the tree out." },
    );
  }
  if (tree.maxDepth > heads) {
    throw new HydrantError(
      "tree/deeper-than-heads",
      `Tree "${tree.name}" is ${tree.maxDepth} deep, but there are only ${heads} draft heads.`,
      { hint: `Choose a tree no deeper than ${heads}.` },
    );
  }
  return tree;
}

/**
 * Checks that there are as many tokens to propose as a tree asks for.
 * @throws HydrantError `tree/rank-beyond-vocabulary`.
 */
export function checkRanks(tree: TreeTopology, vocabSize: number): TreeTopology {
  const rank = tree.ranks.reduce((highest, each) => Math.max(highest, each), 0);
  if (rank >= vocabSize) {
    throw new HydrantError(
      "tree/rank-beyond-vocabulary",
      `Tree "${tree.name}" has rank ${rank}, but the vocabulary holds ${vocabSize} tokens.`,
      { hint: `Ranks go from 0 to ${vocabSize - 1}.` },
    );
  }
  return tree;
}

/** (length, lexicographic): the order of nodes. */
function comparePaths(a: TreePath, b: TreePath): number {
  if (a.length !== b.length) return a.length - b.length;
  for (const [depth, rank] of a.entries()) {
    const difference = rank - (b[depth] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function pathKey(path: TreePath): string {
  return path.join(".");
}
