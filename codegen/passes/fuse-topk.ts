import type { Node } from "../../src/ir/graph.ts";
import { Analysis, inOrder, replaceGroups } from "../analysis.ts";
import type { FusedGraph } from "../fused-graph.ts";

/**
 * A product of which only the best outputs are asked for keeps them as it goes: logits of a whole
 * vocabulary are written only where sampling needs them.
 */
export function fuseTopk(fused: FusedGraph): FusedGraph {
  const { graph } = fused;
  let { groups } = fused;
  for (const group of fused.groups) {
    const [linear, ...more] = group.nodes;
    if (group.kind !== "linear" || linear === undefined || more.length > 0) continue;
    const analysis = new Analysis({ graph, groups });
    const [result = -1] = linear.results;
    const rankings = analysis.users(result).filter((user) => isRanking(user, result));
    const [ranking] = rankings;
    if (ranking === undefined || rankings.length > 1) continue;
    const joined = ranking.op === "topk" || ranking.op === "argmax" ? [ranking] : [];
    const replaced = joined.flatMap((node) => analysis.groupOf(node) ?? []);
    groups = replaceGroups(groups, [group, ...replaced], {
      kind: "topk_linear",
      nodes: inOrder(analysis, [linear, ...joined]),
      position: group.position,
    });
  }
  return { graph, groups };
}

function isRanking({ op, operands }: Node, logits: number): boolean {
  return (
    operands[0] === logits &&
    (op === "topk" || op === "argmax" || op === "accept_match" || op === "accept_typical")
  );
}
