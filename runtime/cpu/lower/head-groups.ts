import { type Graph, type Node, typeOf, type ValueId } from "../../../src/ir/graph.ts";

/**
 * Nodes that may be split between key-value heads, with the number of these: attention, and what
 * leads to it (projections, rotations, cache writes). Each key-value head's columns never meet those
 * of another on the way, so threads that split by them need no barrier in between.
 */
export function findHeadGroups(graph: Graph): Map<Node, number> {
  const producers = new Map<ValueId, Node>();
  for (const node of graph.nodes) for (const value of node.results) producers.set(value, node);

  const groups = new Map<Node, number>();
  const mark = (value: ValueId | undefined, count: number): void => {
    const node = value === undefined ? undefined : producers.get(value);
    switch (node?.op) {
      case "linear": {
        const [outputs] = typeOf(graph, node.operands[1] ?? -1).shape;
        if (typeof outputs === "number" && outputs % count === 0) groups.set(node, count);
        break;
      }
      case "reshape":
        mark(node.operands[0], count);
        break;
      case "rope":
        groups.set(node, count);
        mark(node.operands[0], count);
        break;
      case "cache_write":
        groups.set(node, count);
        mark(node.operands[1], count);
        break;
      default:
        break;
    }
  };
  for (const node of graph.nodes) {
    if (node.op !== "attention") continue;
    const [q, keys, values] = node.operands;
    const count = typeOf(graph, keys ?? -1).shape[1];
    if (typeof count !== "number") continue;
    groups.set(node, count);
    for (const value of [q, keys, values]) mark(value, count);
  }
  return groups;
}
