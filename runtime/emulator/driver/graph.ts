/** Graphs: captured or built by hand, instantiated, launched. */
import type { ConditionalKind, KernelLaunch } from "../../driver/driver.ts";

/** What one node does when it runs; kernels can be given new arguments. */
export type NodeWork =
  | { readonly kind: "kernel"; readonly launch: KernelLaunch }
  | { readonly kind: "other"; readonly label: string; readonly run: () => void }
  | {
      readonly kind: "conditional";
      readonly condition: ConditionalKind;
      readonly handle: bigint;
      readonly bodies: readonly GraphData[];
    };

export interface NodeData {
  readonly handle: number;
  readonly work: NodeWork;
  readonly dependencies: readonly NodeData[];
}

export interface GraphData {
  readonly handle: number;
  readonly nodes: NodeData[];
}

/** A graph as instantiated: nodes in an order that respects their dependencies. */
export interface ExecData {
  readonly graph: GraphData;
  /** Present work of each node of the graph, by node. */
  readonly work: Map<NodeData, NodeWork>;
  readonly defaults: ReadonlyMap<bigint, number>;
}

/** Nodes are added after the nodes they depend on, so their order is topological already. */
export function instantiate(graph: GraphData, defaults: ReadonlyMap<bigint, number>): ExecData {
  const work = new Map<NodeData, NodeWork>();
  const visit = (one: GraphData): void => {
    for (const node of one.nodes) {
      work.set(node, node.work);
      if (node.work.kind === "conditional") node.work.bodies.forEach(visit);
    }
  };
  visit(graph);
  return { graph: copyOf(graph, work), work, defaults };
}

/** Later additions to the graph do not change what was instantiated. */
function copyOf(graph: GraphData, work: Map<NodeData, NodeWork>): GraphData {
  for (const node of graph.nodes) {
    const { work: own } = node;
    if (own.kind !== "conditional") continue;
    work.set(node, { ...own, bodies: own.bodies.map((body) => copyOf(body, work)) });
  }
  return { handle: graph.handle, nodes: [...graph.nodes] };
}

/**
 * Takes over the work of a graph of the same shape. False when the shapes differ, with nothing
 * changed.
 */
export function updateExec(exec: ExecData, graph: GraphData): boolean {
  if (!sameShape(exec.graph, graph)) return false;
  for (const [index, node] of exec.graph.nodes.entries()) {
    const other = graph.nodes[index];
    if (other !== undefined) exec.work.set(node, other.work);
  }
  return true;
}

function sameShape(a: GraphData, b: GraphData): boolean {
  if (a.nodes.length !== b.nodes.length) return false;
  return a.nodes.every((node, index) => {
    const other = b.nodes[index];
    if (other === undefined || other.work.kind !== node.work.kind) return false;
    if (node.work.kind === "kernel" && other.work.kind === "kernel") {
      if (node.work.launch.function !== other.work.launch.function) return false;
    }
    const positions = (graph: GraphData, of: NodeData): string =>
      of.dependencies.map((d) => graph.nodes.indexOf(d)).join();
    return positions(a, node) === positions(b, other);
  });
}
