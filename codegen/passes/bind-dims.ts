import type { Graph } from "../../src/ir/graph.ts";
import { bindShape, type DimBindings, type TensorType } from "../../src/ir/shape.ts";
import { rewriteGraph } from "../rewrite.ts";

/**
 * Symbols become numbers: a program is made for one row count and one capacity.
 * @throws RangeError for a symbol without a value.
 */
export function bindDims(graph: Graph, dims: DimBindings): Graph {
  const bind = (type: TensorType): TensorType => ({ ...type, shape: bindShape(type.shape, dims) });
  return rewriteGraph(
    graph,
    (node, { append }) => {
      switch (node.op) {
        case "iota":
          return append(
            "iota",
            [],
            { size: bindShape([node.attributes.size], dims)[0] ?? 0 },
            node.label,
          );
        case "reshape":
          return append(
            "reshape",
            node.operands,
            { shape: bindShape(node.attributes.shape, dims) },
            node.label,
          );
        default:
          return undefined;
      }
    },
    bind,
  );
}
