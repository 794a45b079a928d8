import { type Graph, type Node, typeOf, type ValueId } from "../../../src/ir/graph.ts";
import { sameShape } from "../../../src/ir/shape.ts";

type NodeOf<Op extends Node["op"]> = Extract<Node, { op: Op }>;

/** What an `add` or `mul` becomes together with the op that makes one of its operands. */
export type Fusion =
  | { readonly kind: "residual"; readonly linear: NodeOf<"linear">; readonly residual: ValueId }
  | { readonly kind: "gated"; readonly gate: ValueId; readonly up: ValueId };

export interface Fusions {
  readonly at: ReadonlyMap<Node, Fusion>;
  /** Norms that only feed linears, by their result: each linear norms its own input. */
  readonly norms: ReadonlyMap<ValueId, NodeOf<"rms_norm">>;
  /** Nodes not executed on their own: absorbed by another, or without any effect. */
  readonly skipped: ReadonlySet<Node>;
}

/**
 * Finds what the kernels do in one go: residual + linear(x), linear(norm(x)) and silu(gate) · up. The
 * arithmetic is the same in the same order: fusing never changes a bit. It saves barriers between
 * threads.
 */
export function findFusions(graph: Graph): Fusions {
  const skipped = new Set(deadNodes(graph));
  const producers = new Map<ValueId, Node>();
  const users = new Map<ValueId, Node[]>();
  for (const node of graph.nodes) {
    if (skipped.has(node)) continue;
    for (const value of node.operands) users.set(value, [...(users.get(value) ?? []), node]);
    for (const value of node.results) producers.set(value, node);
  }
  const kept = new Set([...graph.outputs, ...graph.updates].map(({ value }) => value));
  const usedOnce = (value: ValueId) => !kept.has(value) && users.get(value)?.length === 1;

  const at = new Map<Node, Fusion>();
  const norms = new Map<ValueId, NodeOf<"rms_norm">>();
  for (const node of graph.nodes) {
    if (skipped.has(node)) continue;
    if (node.op === "rms_norm") {
      const [result = -1] = node.results;
      const feedsLinears = users
        .get(result)
        ?.every((user) => user.op === "linear" && user.operands.indexOf(result) === 0);
      if (feedsLinears !== true || kept.has(result)) continue;
      norms.set(result, node);
      skipped.add(node);
      continue;
    }
    const fusion = fuseInto(graph, node, (value) => {
      const producer = producers.get(value);
      return producer !== undefined && usedOnce(value) && !skipped.has(producer)
        ? producer
        : undefined;
    });
    if (fusion === undefined) continue;
    at.set(node, fusion.fusion);
    skipped.add(fusion.absorbed);
  }
  return { at, norms, skipped };
}

/** @param absorbable the node that makes a value, when nothing else needs the value. */
function fuseInto(
  graph: Graph,
  node: Node,
  absorbable: (value: ValueId) => Node | undefined,
): { fusion: Fusion; absorbed: Node } | undefined {
  if (node.op !== "add" && node.op !== "mul") return undefined;
  const [left = -1, right = -1] = node.operands;
  const [a, b] = [typeOf(graph, left), typeOf(graph, right)];
  if (left === right || !sameShape(a.shape, b.shape)) return undefined;
  if (a.dtype !== "f32" || b.dtype !== "f32") return undefined;
  for (const [value, other] of [
    [right, left],
    [left, right],
  ] as const) {
    const producer = absorbable(value);
    if (node.op === "add" && producer?.op === "linear") {
      const fusion = { kind: "residual", linear: producer, residual: other } as const;
      return { fusion, absorbed: producer };
    }
    if (node.op === "mul" && producer?.op === "silu") {
      const [gate = -1] = producer.operands;
      return { fusion: { kind: "gated", gate, up: other }, absorbed: producer };
    }
  }
  return undefined;
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
