import type { Graph } from "../ir/graph.ts";
import { buildPrefill, buildStep } from "../models/decode-graphs.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { namedTree } from "../speculation/named-trees.ts";
import { rootOnly } from "../speculation/tree.ts";

/** Graphs that together use every weight: the tree of the step touches every head. */
export function weightGraphs(base: BaseModel, drafter: Drafter): readonly Graph[] {
  const tree =
    drafter.maxDepth === 0 ? rootOnly : namedTree(`chain-${Math.min(drafter.maxDepth, 8)}`);
  return [buildPrefill(base, drafter), buildStep(base, drafter, tree)];
}
