import { type Graph, type Node, typeOf, type ValueId } from "../../src/ir/graph.ts";
import { sameShape } from "../../src/ir/shape.ts";

type Linear = Extract<Node, { op: "linear" }>;

/** What an `add` or `mul` becomes together with the op that makes one of its operands. */
export type Fusion =
  | { readonly kind: "residual"; readonly linear: Linear; readonly residual: ValueId }
  | { readonly kind: "gated"; readonly gate: ValueId; readonly up: ValueId };

export interface Fusions {
  readonly at: ReadonlyMap<Node, Fusion>;
  /** Nodes not executed on their own: absorbed by another, or without any effect. */
  readonly skipped: ReadonlySet<Node>;
}

/**
 * Finds what the kernels do in one go: residual + linear(x), and silu(gate) · up. The sums are the same
 * in the same order, so fusing never changes a bit.
 */
export function findFusions(graph: Graph): Fusions {
  const skipped = new Set(deadNodes(graph));
  const producers = new Map<ValueId, Node>();
  const uses = new Map<ValueId, number>();
  const use = (value: ValueId) => uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const node of graph.nodes) {
    if (skipped.has(node)) continue;
    for (const value of node.operands) use(value);
    for (const value of node.results) producers.set(value, node);
  }
  for (const { value } of [...graph.outputs, ...graph.updates]) use(value);

  const at = new Map<Node, Fusion>();
  for (const node of graph.nodes) {
    if (skipped.has(node) || (node.op !== "add" && node.op !== "mul")) continue;
    const [left, right] = node.operands;
    if (left === undefined || right === undefined || left === right) continue;
    const [a, b] = [typeOf(graph, left), typeOf(graph, right)];
    if (!sameShape(a.shape, b.shape) || a.dtype !== "f32" || b.dtype !== "f32") continue;
    for (const [value, other] of [
      [right, left],
      [left, right],
    ] as const) {
      const producer = producers.get(value);
      if (producer === undefined || uses.get(value) !== 1 || skipped.has(producer)) continue;
      if (node.op === "add" && producer.op === "linear") {
        at.set(node, { kind: "residual", linear: producer, residual: other });
      } else if (node.op === "mul" && producer.op === "silu") {
        const [gate] = producer.operands;
        if (gate === undefined) continue;
        at.set(node, { kind: "gated", gate, up: other });
      } else continue;
      skipped.add(producer);
      break;
    }
  }
  return { at, skipped };
}

/** Nodes whose results nobody reads and which change no state. */
function deadNodes(graph: Graph): Node[] {
  const live = new Set<ValueId>([...graph.outputs, ...graph.updates].map(({ value }) => value));
  const dead: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (node.results.some((value) => live.has(value))) {
      for (const value of node.operands) live.add(value);
    } else dead.push(node);
  }
  return dead;
}
