import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph } from "../fused-graph.ts";

/** Tokens that are embedded and also written down (the history) are written by the embedding. */
export function fuseHistory(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const group of fused.groups) {
    const [write] = group.nodes;
    if (write?.op !== "cache_write") continue;
    const [cache = -1, tokens = -1, start = -1] = write.operands;
    const host = analysis.groups.find(
      ({ kind, nodes }) => kind === "embedding" && nodes[0]?.operands[1] === tokens,
    );
    if (host === undefined || fused.graph.types[cache]?.dtype !== "i32") continue;
    const runs =
      analysis.readyAt(start) < host.position && analysis.mayWriteAt(cache, write, host.position);
    if (!runs) continue;
    analysis.replace([group, host], {
      ...host,
      nodes: inOrder(analysis, [...host.nodes, write]),
    });
  }
  return analysis.fused();
}
