import type { Graph, Node, ValueId } from "../../src/ir/graph.ts";
import { sameShape } from "../../src/ir/shape.ts";
import { rewriteGraph } from "../rewrite.ts";

/**
 * One form for equal things: reshapes of reshapes become one, views and casts that change nothing
 * go, and equal pure nodes become one, so that later passes see shared operands as shared.
 */
export function canonicalise(graph: Graph): Graph {
  const reshaped = new Map<ValueId, ValueId>();
  const known = new Map<string, readonly ValueId[]>();
  return rewriteGraph(graph, (node, { append, typeOf }) => {
    const once = (key: string, make: () => readonly ValueId[]): readonly ValueId[] => {
      const results = known.get(key) ?? make();
      known.set(key, results);
      return results;
    };
    const [first = -1] = node.operands;
    switch (node.op) {
      case "reshape": {
        const origin = reshaped.get(first) ?? first;
        const { shape } = node.attributes;
        if (sameShape(typeOf(origin).shape, shape)) return [origin];
        const results = once(`reshape %${origin} [${shape.join()}]`, () =>
          append("reshape", [origin], { shape }, node.label),
        );
        for (const result of results) reshaped.set(result, origin);
        return results;
      }
      case "cast":
        return typeOf(first).dtype === node.attributes.to ? [first] : undefined;
      case "constant":
      case "iota":
      case "embedding":
      case "gather":
        // A gather from a cache is not pure: it reads what is there at its place in the order.
        return keyed(node) === undefined
          ? undefined
          : once(`${keyed(node)} : ${JSON.stringify(graph.types[node.results[0] ?? -1])}`, () =>
              append(
                node.op,
                node.operands,
                node.attributes as never,
                node.label,
                graph.types[node.results[0] ?? -1],
              ),
            );
      default:
        return undefined;
    }
  });
}

function keyed(node: Node): string | undefined {
  if (node.op === "gather") return undefined;
  return `${node.op} ${node.operands.join()} ${JSON.stringify(node.attributes)}`;
}
