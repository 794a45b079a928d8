import type { Graph, Node, ValueId } from "../src/ir/graph.ts";
import { writesFirstOperand } from "../src/ir/op.ts";
import { elementCount } from "../src/ir/shape.ts";
import type { FusedGraph, Group } from "./fused-graph.ts";

/** Who makes and who uses each value, and when: what every fusion has to know. */
export class Analysis {
  readonly graph: Graph;
  readonly #makers = new Map<ValueId, Node>();
  readonly #users = new Map<ValueId, Node[]>();
  readonly #indices = new Map<Node, number>();
  readonly #groups = new Map<Node, Group>();
  /** Values that leave the graph: outputs and state updates. */
  readonly #kept: ReadonlySet<ValueId>;
  readonly #ready = new Map<ValueId, number>();

  constructor({ graph, groups }: FusedGraph) {
    this.graph = graph;
    for (const [index, node] of graph.nodes.entries()) {
      this.#indices.set(node, index);
      for (const result of node.results) this.#makers.set(result, node);
      for (const operand of node.operands)
        this.#users.set(operand, [...(this.#users.get(operand) ?? []), node]);
    }
    for (const group of groups) for (const node of group.nodes) this.#groups.set(node, group);
    this.#kept = new Set([
      ...graph.outputs.map(({ value }) => value),
      ...graph.updates.map(({ value }) => value),
    ]);
  }

  maker(value: ValueId): Node | undefined {
    return this.#makers.get(value);
  }

  users(value: ValueId): readonly Node[] {
    return this.#users.get(value) ?? [];
  }

  index(node: Node): number {
    return this.#indices.get(node) ?? -1;
  }

  groupOf(node: Node | undefined): Group | undefined {
    return node && this.#groups.get(node);
  }

  isKept(value: ValueId): boolean {
    return this.#kept.has(value);
  }

  /** Whether anything outside of `nodes` uses the value. */
  usedOutside(value: ValueId, nodes: ReadonlySet<Node>): boolean {
    return this.isKept(value) || this.users(value).some((user) => !nodes.has(user));
  }

  /** Position from which on the value can be had: that of the group that makes it; -1 for sources. */
  readyAt(value: ValueId): number {
    const known = this.#ready.get(value);
    if (known !== undefined) return known;
    const maker = this.#makers.get(value);
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
    const maker = this.#makers.get(value);
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

/** The groups with some replaced by one, in order of position. */
export function replaceGroups(
  groups: readonly Group[],
  replaced: readonly Group[],
  by: Group,
): readonly Group[] {
  return [...groups.filter((group) => !replaced.includes(group)), by].sort(
    (a, b) => a.position - b.position,
  );
}

/** Nodes in execution order. */
export function inOrder(analysis: Analysis, nodes: Iterable<Node>): Node[] {
  return [...nodes].sort((a, b) => analysis.index(a) - analysis.index(b));
}
