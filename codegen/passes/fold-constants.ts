import type { Graph, ValueId } from "../../src/ir/graph.ts";
import { elementCount, type TensorType } from "../../src/ir/shape.ts";
import { rewriteGraph } from "../rewrite.ts";

/** Largest constant worth making: beyond it a computed index is cheaper than a table. */
const largest = 4096;

/**
 * Index arithmetic on constants is done here: i32 adds, reshapes, gathers and concatenations of
 * constants become constants. An add of a zero goes.
 */
export function foldConstants(graph: Graph): Graph {
  const constants = new Map<ValueId, readonly number[]>();
  return rewriteGraph(graph, (node, { append, typeOf }) => {
    const data = node.operands.map((value) => constants.get(value));
    const [a, b] = data;
    const resultType = graph.types[node.results[0] ?? -1];
    const make = (values: readonly number[], type: TensorType): readonly ValueId[] => {
      const results = append("constant", [], { data: values }, node.label, type);
      for (const result of results) constants.set(result, values);
      return results;
    };
    if (resultType === undefined || resultType.dtype !== "i32") return undefined;
    switch (node.op) {
      case "constant":
        return make(node.attributes.data.map(Number), resultType);
      case "add": {
        const [x = -1] = node.operands;
        if (b?.every((item) => item === 0)) return [x];
        if (a === undefined || b === undefined) return undefined;
        return make(
          a.map((item, i) => (item + (b[i % b.length] ?? 0)) | 0),
          typeOf(x),
        );
      }
      case "reshape":
        return a && make(a, { dtype: "i32", shape: node.attributes.shape });
      case "gather": {
        const [x = -1, index = -1] = node.operands;
        const width = elementCount(typeOf(x).shape.slice(1));
        if (a === undefined || b === undefined || b.length * width > largest) return undefined;
        const picked = b.flatMap((at) => a.slice(at * width, (at + 1) * width));
        return make(picked, {
          dtype: "i32",
          shape: [...typeOf(index).shape, ...typeOf(x).shape.slice(1)],
        });
      }
      case "concat": {
        if (node.attributes.axis !== 0 || data.some((part) => part === undefined)) return undefined;
        return make(
          data.flatMap((part) => part ?? []),
          resultType,
        );
      }
      default:
        return undefined;
    }
  });
}
