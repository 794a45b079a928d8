import { Analysis, inOrder, replaceGroups } from "../analysis.ts";
import type { FusedGraph } from "../fused-graph.ts";

/** All caches that follow one accepted path are committed together, across layers. */
export function mergeCommits(fused: FusedGraph): FusedGraph {
  const { graph } = fused;
  let { groups } = fused;
  for (const group of fused.groups) {
    const [first] = group.nodes;
    if (first?.op !== "cache_commit" || !groups.includes(group)) continue;
    const analysis = new Analysis({ graph, groups });
    const path = first.operands.slice(1).join();
    const together = groups.filter(({ nodes: [node] }) => {
      if (node?.op !== "cache_commit" || node.operands.slice(1).join() !== path) return false;
      return analysis.mayWriteAt(node.operands[0] ?? -1, node, group.position);
    });
    if (together.length < 2) continue;
    groups = replaceGroups(groups, together, {
      ...group,
      nodes: inOrder(
        analysis,
        together.flatMap(({ nodes }) => nodes),
      ),
    });
  }
  return { graph, groups };
}
