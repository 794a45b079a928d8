import type { Graph, ValueId } from "../../src/ir/graph.ts";
import { writesFirstOperand } from "../../src/ir/op.ts";

/** Drops nodes nothing asks for. Writes to caches stay: the caches outlive the run. */
export function eliminateDeadCode(graph: Graph): Graph {
  const live = new Set<ValueId>([
    ...graph.outputs.map(({ value }) => value),
    ...graph.updates.map(({ value }) => value),
  ]);
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!writesFirstOperand(node.op) && !node.results.some((value) => live.has(value)))
      return false;
    for (const operand of node.operands) live.add(operand);
    return true;
  });
  const states = new Set(graph.updates.map(({ state }) => state));
  return {
    ...graph,
    nodes: nodes.reverse(),
    sources: graph.sources.filter(
      ({ kind, name, value }) =>
        live.has(value) || kind === "input" || (kind === "state" && states.has(name)),
    ),
  };
}
