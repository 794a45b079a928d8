import type { Node } from "../../src/ir/graph.ts";
import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph } from "../fused-graph.ts";

/**
 * A product of which only the best outputs are asked for keeps them as it goes: logits of a whole
 * vocabulary are written only where sampling needs them.
 */
export function fuseTopk(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const group of fused.groups) {
    const [linear, ...more] = group.nodes;
    if (group.kind !== "linear" || linear === undefined || more.length > 0) continue;
    const [result = -1] = linear.results;
    const rankings = analysis.users(result).filter((user) => isRanking(user, result));
    const [ranking] = rankings;
    if (ranking === undefined || rankings.length > 1) continue;
    const joined = ranking.op === "topk" || ranking.op === "argmax" ? [ranking] : [];
    const replaced = joined.flatMap((node) => analysis.groupOf(node) ?? []);
    analysis.replace([group, ...replaced], {
      kind: "topk_linear",
      nodes: inOrder(analysis, [linear, ...joined]),
      position: group.position,
    });
  }
  return analysis.fused();
}

function isRanking({ op, operands }: Node, logits: number): boolean {
  return (
    operands[0] === logits &&
    (op === "topk" || op === "argmax" || op === "accept_match" || op === "accept_typical")
  );
}
