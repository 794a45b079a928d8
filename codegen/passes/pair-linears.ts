import type { Node, ValueId } from "../../src/ir/graph.ts";
import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph, Group } from "../fused-graph.ts";

/**
 * Two products of one activation whose results meet in an element-wise op (gate and up, a residual
 * and its block) become one group: the same outputs of both are at hand together, and neither is
 * written to memory.
 */
export function pairLinears(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const node of fused.graph.nodes) {
    if (node.op !== "mul" && node.op !== "add") continue;
    const pair = node.operands.map((operand) => productBehind(analysis, operand));
    const [a, b] = pair;
    if (a === undefined || b === undefined || a === b) continue;
    const [early, late] = a.position < b.position ? [a, b] : [b, a];
    if (!sameProduct(analysis, early, late) || usedBefore(analysis, early, late.position)) continue;
    analysis.replace([early, late], {
      kind: "linear",
      nodes: inOrder(analysis, [...early.nodes, ...late.nodes]),
      position: late.position,
    });
  }
  return analysis.fused();
}

/** The single product a value comes from through element-wise ops of one operand. */
function productBehind(analysis: Analysis, value: ValueId): Group | undefined {
  const maker = analysis.maker(value);
  const group = analysis.groupOf(maker);
  if (group !== undefined)
    return group.kind === "linear" && group.nodes.length === 1 ? group : undefined;
  if (maker?.op !== "silu" && maker?.op !== "reshape") return undefined;
  return productBehind(analysis, maker.operands[0] ?? -1);
}

function sameProduct({ graph }: Analysis, a: Group, b: Group): boolean {
  const [x, y] = [a.nodes[0], b.nodes[0]];
  if (x === undefined || y === undefined || x.operands[0] !== y.operands[0]) return false;
  const [p, q] = [x, y].map((node) => graph.types[node.operands[1] ?? -1]);
  return p?.dtype === q?.dtype && p?.shape[0] === q?.shape[0];
}

/** Whether some group needs the early product before the late one can run. */
function usedBefore(analysis: Analysis, early: Group, position: number): boolean {
  const pending = early.nodes.flatMap(({ results }) => results);
  for (const value of pending) {
    for (const user of analysis.users(value)) {
      const group = analysis.groupOf(user);
      if (group !== undefined && group.position <= position) return true;
      if (group === undefined) pending.push(...user.results);
    }
  }
  return false;
}

/** The products of a group, in order. */
export function productsOf(group: Group): readonly Extract<Node, { op: "linear" }>[] {
  return group.nodes.filter((node) => node.op === "linear");
}
