import type { Drafter } from "../speculation/drafter.ts";
import { namedTree, prefixTree } from "../speculation/named-trees.ts";
import { fixedPolicy, type TreePolicy } from "../speculation/tree-policy.ts";
import {
  checkDepth,
  checkRanks,
  rootOnly,
  TreeTopology,
  treeFromPaths,
  truncateDepth,
} from "../speculation/tree.ts";
import { HydrantError } from "../util/errors.ts";
import type { GenerateOptions } from "./request.ts";

const defaultTree = "mc_sim_7b_63";

/** Fixed trees become a policy at once; `auto` needs measured costs first. */
export type TreeChoice = TreePolicy | "auto";

/**
 * What a request's `method` and `tree` mean for the loaded heads.
 * @throws HydrantError for a method the heads do not offer, an unknown tree, or one deeper than the heads.
 */
export function chooseTree(
  drafter: Drafter,
  vocabSize: number,
  { method = "auto", tree }: GenerateOptions,
): TreeChoice {
  const known = ["auto", "autoregressive", drafter.name, ...(drafter.aliases ?? [])];
  if (!known.includes(method)) {
    const loaded =
      drafter.maxDepth === 0 ? "no heads are loaded" : `the loaded heads are ${drafter.name}`;
    throw new HydrantError("generate/method", `Method "${method}" cannot be used: ${loaded}.`, {
      hint: "Load matching heads, or use auto or autoregressive.",
    });
  }
  if (method === "autoregressive" || drafter.maxDepth === 0) {
    if (tree !== undefined && tree !== "auto" && tree !== "none" && method !== "auto") {
      throw new HydrantError(
        "generate/method",
        "A tree needs draft heads, and plain decoding uses none.",
        {
          hint: "Leave the tree out, or choose another method.",
        },
      );
    }
    if (drafter.maxDepth === 0 && tree !== undefined) checkDepth(toTree(tree, drafter), 0);
    return fixedPolicy(rootOnly);
  }
  if (tree === undefined) {
    return method === "auto"
      ? "auto"
      : fixedPolicy(truncateDepth(namedTree(defaultTree), drafter.maxDepth));
  }
  return tree === "auto"
    ? "auto"
    : fixedPolicy(checkRanks(checkDepth(toTree(tree, drafter), drafter.maxDepth), vocabSize));
}

function toTree(tree: NonNullable<GenerateOptions["tree"]>, drafter: Drafter): TreeTopology {
  if (tree instanceof TreeTopology) return tree;
  if (typeof tree !== "string") return treeFromPaths(tree);
  return tree === "auto" ? truncateDepth(rootOnly, drafter.maxDepth) : namedTree(tree);
}

/** Trees worth measuring for `auto`, small to large: chains, then growing parts of a published tree. */
export function autoCandidates(drafter: Drafter): TreeTopology[] {
  const chains = [1, 2, 3, 4].map((depth) => namedTree(`chain-${depth}`));
  const bushes = [2, 4, 8, 16, 32, 63].map((nodes) => prefixTree(defaultTree, nodes));
  const fitting = [...chains, ...bushes].map((tree) => truncateDepth(tree, drafter.maxDepth));
  const distinct = new Map(fitting.filter((tree) => tree.size > 1).map((tree) => [tree.key, tree]));
  return [...distinct.values()].sort((a, b) => a.size - b.size);
}
