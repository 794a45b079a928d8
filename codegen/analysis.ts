import type { Graph, Node, Source, ValueId } from "../src/ir/graph.ts";
import { writesFirstOperand } from "../src/ir/op.ts";
import { elementCount } from "../src/ir/shape.ts";
import type { FusedGraph, Group } from "./fused-graph.ts";

/** What a graph alone decides. */
class GraphFacts {
  readonly makers = new Map<ValueId, Node>();
  readonly users = new Map<ValueId, Node[]>();
  readonly indices = new Map<Node, number>();
  readonly sources = new Map<ValueId, Source>();
  /** Values that leave the graph: outputs and state updates. */
  readonly kept: ReadonlySet<ValueId>;

  constructor(graph: Graph) {
    for (const source of graph.sources) this.sources.set(source.value, source);
    for (const [index, node] of graph.nodes.entries()) {
      this.indices.set(node, index);
      for (const result of node.results) this.makers.set(result, node);
      for (const operand of node.operands) {
        const users = this.users.get(operand);
        if (users === undefined) this.users.set(operand, [node]);
        else users.push(node);
      }
    }
    this.kept = new Set([
      ...graph.outputs.map(({ value }) => value),
      ...graph.updates.map(({ value }) => value),
    ]);
  }
}

/** Graphs do not change: every pass over one asks the same. */
const factsOf = new WeakMap<Graph, GraphFacts>();

/**
 * Who makes and who uses each value, and when: what every fusion has to know. Passes change the
 * groups through `replace` and hand on `fused()`.
 */
export class Analysis {
  readonly graph: Graph;
  readonly #facts: GraphFacts;
  readonly #groups: Set<Group>;
  readonly #groupOf = new Map<Node, Group>();
  readonly #ready = new Map<ValueId, number>();

  constructor({ graph, groups }: FusedGraph) {
    this.graph = graph;
    this.#facts = factsOf.get(graph) ?? new GraphFacts(graph);
    factsOf.set(graph, this.#facts);
    this.#groups = new Set(groups);
    for (const group of groups) for (const node of group.nodes) this.#groupOf.set(node, group);
  }

  /** The groups now, in order of position. */
  get groups(): readonly Group[] {
    return [...this.#groups].sort((a, b) => a.position - b.position);
  }

  fused(): FusedGraph {
    return { graph: this.graph, groups: this.groups };
  }

  /** Puts one group in the place of others. */
  replace(replaced: readonly Group[], by: Group): void {
    for (const group of replaced) {
      this.#groups.delete(group);
      for (const node of group.nodes) this.#groupOf.delete(node);
    }
    this.#groups.add(by);
    for (const node of by.nodes) this.#groupOf.set(node, by);
    this.#ready.clear();
  }

  has(group: Group): boolean {
    return this.#groups.has(group);
  }

  maker(value: ValueId): Node | undefined {
    return this.#facts.makers.get(value);
  }

  source(value: ValueId): Source | undefined {
    return this.#facts.sources.get(value);
  }

  users(value: ValueId): readonly Node[] {
    return this.#facts.users.get(value) ?? [];
  }

  index(node: Node): number {
    return this.#facts.indices.get(node) ?? -1;
  }

  groupOf(node: Node | undefined): Group | undefined {
    return node && this.#groupOf.get(node);
  }

  isKept(value: ValueId): boolean {
    return this.#facts.kept.has(value);
  }

  /** Whether anything outside of `nodes` uses the value. */
  usedOutside(value: ValueId, nodes: ReadonlySet<Node>): boolean {
    return this.isKept(value) || this.users(value).some((user) => !nodes.has(user));
  }

  /** Position from which on the value can be had: that of the group that makes it; -1 for sources. */
  readyAt(value: ValueId): number {
    const known = this.#ready.get(value);
    if (known !== undefined) return known;
    const maker = this.maker(value);
    const group = this.groupOf(maker);
    const ready =
      maker === undefined
        ? -1
        : (group?.position ??
          maker.operands.reduce((latest, operand) => Math.max(latest, this.readyAt(operand)), -1));
    this.#ready.set(value, ready);
    return ready;
  }

  /** The value behind reshapes: same memory, other shape. */
  origin(value: ValueId): ValueId {
    const maker = this.maker(value);
    return maker?.op === "reshape" && this.groupOf(maker) === undefined
      ? this.origin(maker.operands[0] ?? value)
      : value;
  }

  /** The node after which the cache `value` is something else, if one writes over it. */
  overwriter(value: ValueId): Node | undefined {
    return this.users(value).find(
      (user) => writesFirstOperand(user.op) && user.operands[0] === value,
    );
  }

  /** Whether a write to this cache may run at `position`: everyone else is done with the old content. */
  mayWriteAt(cache: ValueId, writer: Node, position: number): boolean {
    return this.users(cache).every((user) => user === writer || this.index(user) < position);
  }

  elements(value: ValueId): number {
    return elementCount(this.graph.types[value]?.shape ?? []);
  }
}

/** Nodes in execution order. */
export function inOrder(analysis: Analysis, nodes: Iterable<Node>): Node[] {
  return [...nodes].sort((a, b) => analysis.index(a) - analysis.index(b));
}
