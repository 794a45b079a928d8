import type { DType } from "../../src/ir/dtype.ts";
import { byteSize } from "../../src/ir/dtype.ts";
import type { Graph, ValueId } from "../../src/ir/graph.ts";
import type { Target } from "../../src/ir/program.ts";
import { type Rewriter, rewriteGraph } from "../rewrite.ts";
import { onTensorCores } from "../tensor-cores.ts";

/**
 * What tensor cores multiply is rounded to the type of the other operand first: activations to a
 * 16-bit weight's type, queries to the cache's. The casts are in the graph, so the interpreter can
 * run what the kernels compute, and so that they fuse into whatever made the activation.
 */
export function narrowActivations(graph: Graph, target: Target): Graph {
  if (target.activations === "f32") return graph;
  const narrowed = new Map<string, ValueId>();
  const narrow = (value: ValueId, to: DType, { append, typeOf }: Rewriter): ValueId => {
    if (typeOf(value).dtype === to) return value;
    const key = `${value} ${to}`;
    const found = narrowed.get(key) ?? append("cast", [value], { to }, undefined)[0] ?? value;
    narrowed.set(key, found);
    return found;
  };
  return rewriteGraph(graph, (node, rewriter) => {
    const [x = -1, other = -1, ...rest] = node.operands;
    switch (node.op) {
      case "linear": {
        const { dtype } = rewriter.typeOf(other);
        if (byteSize(dtype) !== 2) return undefined;
        const operands = [narrow(x, dtype, rewriter), other, ...rest];
        return rewriter.append("linear", operands, node.attributes, node.label);
      }
      case "attention": {
        const keys = rewriter.typeOf(other);
        if (!onTensorCores(keys)) return undefined;
        const operands = [narrow(x, keys.dtype, rewriter), other, ...rest];
        return rewriter.append("attention", operands, node.attributes, node.label);
      }
      default:
        return undefined;
    }
  });
}
