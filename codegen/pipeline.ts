import type { Graph } from "../src/ir/graph.ts";
import type { Program, Target } from "../src/ir/program.ts";
import type { DimBindings } from "../src/ir/shape.ts";
import type { FusedGraph } from "./fused-graph.ts";
import { lower } from "./lower/lower.ts";
import { bindDims } from "./passes/bind-dims.ts";
import { canonicalise } from "./passes/canonicalise.ts";
import { eliminateDeadCode } from "./passes/eliminate-dead-code.ts";
import { foldConstants } from "./passes/fold-constants.ts";
import { fuseEpilogues } from "./passes/fuse-epilogues.ts";
import { fuseHistory } from "./passes/fuse-history.ts";
import { fuseNorms } from "./passes/fuse-norms.ts";
import { fuseRopeCache } from "./passes/fuse-rope-cache.ts";
import { fuseTopk } from "./passes/fuse-topk.ts";
import { groupNodes } from "./passes/group-nodes.ts";
import { materialise } from "./passes/materialise.ts";
import { mergeCommits } from "./passes/merge-commits.ts";
import { narrowActivations } from "./passes/narrow-activations.ts";
import { pairLinears } from "./passes/pair-linears.ts";
import { planBuffers } from "./passes/plan-buffers.ts";

export interface Pass<T> {
  readonly name: string;
  readonly run: (input: T, options: PassOptions) => T;
}

export interface PassOptions {
  readonly dims: DimBindings;
  readonly target: Target;
}

/** Graph to graph: same meaning, better form. */
export const graphPasses: readonly Pass<Graph>[] = [
  { name: "bind-dims", run: (graph, { dims }) => bindDims(graph, dims) },
  { name: "narrow-activations", run: (graph, { target }) => narrowActivations(graph, target) },
  { name: "canonicalise", run: canonicalise },
  { name: "fold-constants", run: foldConstants },
  { name: "eliminate-dead-code", run: eliminateDeadCode },
];

/** Which nodes share a kernel. */
export const groupStage = { name: "group-nodes", run: groupNodes };

/** Fewer, larger kernels. What is fused early is out of reach for the passes after it. */
export const fusionPasses: readonly Pass<FusedGraph>[] = [
  { name: "fuse-rope-cache", run: fuseRopeCache },
  { name: "fuse-topk", run: fuseTopk },
  { name: "pair-linears", run: pairLinears },
  { name: "fuse-epilogues", run: fuseEpilogues },
  { name: "materialise", run: materialise },
  { name: "fuse-norms", run: fuseNorms },
  { name: "fuse-history", run: fuseHistory },
  { name: "merge-commits", run: mergeCommits },
];

/** Kernels, their launches and their memory. */
export const lowerStage = {
  name: "lower",
  run: (fused: FusedGraph, { dims, target }: PassOptions): Program => lower(fused, dims, target),
};

export const programPasses: readonly Pass<Program>[] = [{ name: "plan-buffers", run: planBuffers }];
