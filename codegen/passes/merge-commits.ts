import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph } from "../fused-graph.ts";

/** All caches that follow one accepted path are committed together, across layers. */
export function mergeCommits(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const group of fused.groups) {
    const [first] = group.nodes;
    if (first?.op !== "cache_commit" || !analysis.has(group)) continue;
    const path = first.operands.slice(1).join();
    const together = analysis.groups.filter(({ nodes: [node] }) => {
      if (node?.op !== "cache_commit" || node.operands.slice(1).join() !== path) return false;
      return analysis.mayWriteAt(node.operands[0] ?? -1, node, group.position);
    });
    if (together.length < 2) continue;
    analysis.replace(together, {
      ...group,
      nodes: inOrder(
        analysis,
        together.flatMap(({ nodes }) => nodes),
      ),
    });
  }
  return analysis.fused();
}
