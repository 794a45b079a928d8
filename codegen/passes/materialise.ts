import type { Node, ValueId } from "../../src/ir/graph.ts";
import { Analysis } from "../analysis.ts";
import type { FusedGraph, Group } from "../fused-graph.ts";

/** Operands that kernels read from memory, many times or by wide loads; others are computed in place. */
const fromMemory: Partial<Record<Node["op"], readonly number[]>> = {
  linear: [0],
  rms_norm: [0],
  rope: [0],
  attention: [0, 1, 2],
  topk: [0],
  argmax: [0],
  accept_match: [0],
  accept_typical: [0],
};

/**
 * Values without a kernel that somebody reads from memory get one, and so do rows read from a cache
 * that is written over before they are used.
 */
export function materialise(fused: FusedGraph): FusedGraph {
  const { graph, groups } = fused;
  const analysis = new Analysis(fused);
  const made = new Map<Node, Group>();
  const make = (value: ValueId, position: number): void => {
    const node = analysis.maker(analysis.origin(value));
    if (node === undefined || analysis.groupOf(node) !== undefined || made.has(node)) return;
    if (node.op === "constant") return;
    made.set(node, { kind: "elementwise", nodes: [node], position });
  };
  for (const node of graph.nodes) {
    const [source = -1] = node.operands;
    const writer = node.op === "gather" ? analysis.overwriter(source) : undefined;
    if (writer !== undefined && analysis.groupOf(node) === undefined)
      make(node.results[0] ?? -1, analysis.index(node));
  }
  for (const group of groups) {
    for (const node of group.nodes) {
      for (const at of fromMemory[node.op] ?? [])
        make(node.operands[at] ?? -1, group.position - 0.5);
    }
  }
  return {
    graph,
    groups: [...groups, ...made.values()].sort((a, b) => a.position - b.position),
  };
}
