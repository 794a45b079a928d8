import type { Graph } from "../../src/ir/graph.ts";
import type { OpName } from "../../src/ir/op.ts";
import type { FusedGraph, GroupKind } from "../fused-graph.ts";

/** Ops that need a kernel; the others are computed where they are used. */
const kinds: Partial<Record<OpName, GroupKind>> = {
  linear: "linear",
  rms_norm: "rms_norm",
  rope: "rope",
  attention: "attention",
  cache_write: "cache_write",
  cache_commit: "cache_commit",
  argmax: "topk",
  topk: "topk",
  accept_match: "accept",
  accept_typical: "accept",
};

/** Every op that needs a kernel becomes a group of its own, before anything is fused. */
export function groupNodes(graph: Graph): FusedGraph {
  return {
    graph,
    groups: graph.nodes.flatMap((node, position) => {
      // Embeddings are made in place where rows are assembled; those a norm or a residual reads need memory.
      const kind =
        node.op === "embedding" && feedsLayers(graph, node.results[0])
          ? "embedding"
          : kinds[node.op];
      return kind === undefined ? [] : [{ kind, nodes: [node], position }];
    }),
  };
}

function feedsLayers(graph: Graph, value: number | undefined): boolean {
  return graph.nodes.some(({ op, operands }) => op === "rms_norm" && operands[0] === value);
}
