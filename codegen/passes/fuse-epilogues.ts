import type { Node } from "../../src/ir/graph.ts";
import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph, Group, GroupKind } from "../fused-graph.ts";

/** Element-wise ops a kernel can do to its result before storing it. */
const epilogues: Partial<Record<GroupKind, ReadonlySet<Node["op"]>>> = {
  linear: new Set(["add", "mul", "silu", "cast", "reshape"]),
  embedding: new Set(["add", "mul", "silu", "cast", "reshape"]),
  attention: new Set(["reshape", "cast"]),
  rms_norm: new Set(["cast"]),
};

/**
 * Element-wise work on the result of a kernel moves into that kernel: biases, residuals, activations
 * and roundings cost no pass over memory of their own. Other operands must exist before the kernel
 * runs.
 */
export function fuseEpilogues(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const group of fused.groups) {
    const allowed = epilogues[group.kind];
    if (allowed === undefined) continue;
    const members = fusable(analysis, group, allowed);
    if (members.size === group.nodes.length) continue;
    analysis.replace([group], { ...group, nodes: inOrder(analysis, members) });
  }
  return analysis.fused();
}

function fusable(
  analysis: Analysis,
  group: Group,
  allowed: ReadonlySet<Node["op"]>,
): ReadonlySet<Node> {
  const members = new Set(group.nodes);
  const inside = new Set(group.nodes.flatMap(({ results }) => results));
  const size = analysis.elements(group.nodes[0]?.results[0] ?? -1);
  // Users of what is inside come later in the graph: one pass in order finds them all.
  const pending = group.nodes.flatMap(({ results }) => results);
  for (const value of pending) {
    for (const node of analysis.users(value)) {
      if (members.has(node) || !allowed.has(node.op) || analysis.groupOf(node) !== undefined)
        continue;
      const [result = -1] = node.results;
      const fits =
        analysis.elements(result) === size &&
        node.operands.every((operand) =>
          inside.has(operand)
            ? analysis.elements(operand) === size
            : analysis.readyAt(operand) < group.position,
        );
      if (!fits) continue;
      members.add(node);
      inside.add(result);
      // Those that had to wait for this one are looked at again through it.
      pending.push(result);
    }
  }
  return members;
}
