import type { Graph, Node } from "../src/ir/graph.ts";
import { printNode } from "../src/ir/print.ts";
import { HydrantError } from "../src/util/errors.ts";

/** What a group becomes: a family of kernels, with what fuses into it. */
export type GroupKind =
  /** One product, or two of the same activation ("paired"), with element-wise work after it. */
  | "linear"
  /** Projections of one activation, rotated and written to caches. */
  | "rope_linear"
  /** A product of which the largest outputs are wanted. */
  | "topk_linear"
  | "attention"
  | "rms_norm"
  | "embedding"
  | "rope"
  | "cache_write"
  | "cache_commit"
  | "topk"
  | "accept"
  | "elementwise";

/** Nodes that run together. */
export interface Group {
  readonly kind: GroupKind;
  /** In execution order. */
  readonly nodes: readonly Node[];
  /** When it runs: the index in `graph.nodes` of the node that has to wait longest. */
  readonly position: number;
}

/**
 * A graph with its nodes gathered into groups, in the order they run. Nodes in no group (index
 * arithmetic, views, gathers) are computed inside the kernels that use them.
 */
export interface FusedGraph {
  readonly graph: Graph;
  readonly groups: readonly Group[];
}

/** The text form: every group with its nodes, then what is computed in place. */
export function printFusedGraph({ graph, groups }: FusedGraph): string {
  const grouped = new Set(groups.flatMap(({ nodes }) => nodes));
  const inline = graph.nodes.filter((node) => !grouped.has(node));
  const block = (title: string, nodes: readonly Node[]): string[] =>
    nodes.length === 0 ? [] : [title, ...nodes.map((node) => `  ${printNode(graph, node)}`)];
  return [
    ...groups.flatMap(({ kind, nodes }) => block(kind, nodes)),
    ...block("inline", inline),
    "",
  ].join("\n");
}

/**
 * Checks that every node is in one group at most, and that the groups run in an order in which what
 * a group reads from another was made before.
 * @param stage name of the pass that made it, for the message.
 * @throws HydrantError `codegen/verify`.
 */
export function verifyFusedGraph({ graph, groups }: FusedGraph, stage: string): void {
  const fail = (message: string): never => {
    throw new HydrantError("codegen/verify", `After ${stage}: ${message}.`, { path: graph.name });
  };
  const known = new Set(graph.nodes);
  const position = new Map<number, number>();
  for (const group of groups) {
    for (const node of group.nodes) {
      if (!known.delete(node)) fail(`${printNode(graph, node)} is in no group or in two`);
      for (const result of node.results) position.set(result, group.position);
    }
  }
  let last = Number.NEGATIVE_INFINITY;
  for (const group of groups) {
    if (group.position < last) fail(`the ${group.kind} group at ${group.position} is out of order`);
    last = group.position;
    for (const node of group.nodes) {
      for (const operand of node.operands) {
        if ((position.get(operand) ?? -1) > group.position)
          fail(`${printNode(graph, node)} runs before %${operand} is made`);
      }
    }
  }
}

/** The first node of an op in a group. @throws RangeError when there is none. */
export function nodeOf<K extends Node["op"]>(group: Group, op: K): Extract<Node, { op: K }> {
  const found = group.nodes.find((node): node is Extract<Node, { op: K }> => node.op === op);
  if (found === undefined) throw new RangeError(`a ${group.kind} group without ${op}`);
  return found;
}
