import type { Graph, Node, ValueId } from "../src/ir/graph.ts";
import { inferTypes } from "../src/ir/infer.ts";
import type { OpAttributes, OpName } from "../src/ir/op.ts";
import type { TensorType } from "../src/ir/shape.ts";

/** A graph being rewritten: what passes may ask and append. */
export interface Rewriter {
  typeOf(value: ValueId): TensorType;
  /** Appends a node and returns its results. */
  append<K extends OpName>(
    op: K,
    operands: readonly ValueId[],
    attributes: OpAttributes[K],
    label: string | undefined,
    constantType?: TensorType,
  ): readonly ValueId[];
}

/**
 * Rebuilds a graph node by node, types inferred anew. `visit` gets each node with its operands in
 * the new graph and returns the new graph's values for its results, or undefined to keep the node.
 * New values are numbered in execution order, sources first.
 */
export function rewriteGraph(
  graph: Graph,
  visit: (node: Node, rewriter: Rewriter) => readonly ValueId[] | undefined,
  sourceType: (type: TensorType) => TensorType = (type) => type,
): Graph {
  const types: TensorType[] = [];
  const nodes: Node[] = [];
  const renamed = new Map<ValueId, ValueId>();
  const define = (type: TensorType): ValueId => types.push(type) - 1;
  const typeOf = (value: ValueId): TensorType => {
    const type = types[value];
    if (type === undefined) throw new RangeError(`%${value} has no type`);
    return type;
  };
  const now = (value: ValueId): ValueId => renamed.get(value) ?? value;

  const sources = graph.sources.map((source) => {
    const value = define(sourceType(graph.types[source.value] ?? { dtype: "f32", shape: [] }));
    renamed.set(source.value, value);
    return { ...source, value };
  });
  const rewriter: Rewriter = {
    typeOf,
    append(op, operands, attributes, label, constantType) {
      const results = inferTypes(op, operands.map(typeOf), attributes, constantType).map(define);
      nodes.push({ op, operands, attributes, results, label } as Node);
      return results;
    },
  };
  for (const node of graph.nodes) {
    const moved = { ...node, operands: node.operands.map(now) };
    const results =
      visit(moved, rewriter) ??
      rewriter.append(
        moved.op,
        moved.operands,
        moved.attributes as never,
        moved.label,
        graph.types[node.results[0] ?? -1],
      );
    for (const [index, value] of node.results.entries()) {
      const result = results[index];
      if (result !== undefined) renamed.set(value, result);
    }
  }
  return {
    name: graph.name,
    sources,
    nodes,
    types,
    outputs: graph.outputs.map((output) => ({ ...output, value: now(output.value) })),
    updates: graph.updates.map((update) => ({ ...update, value: now(update.value) })),
  };
}
