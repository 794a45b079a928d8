import { type Graph, sourcesOf, typeOf } from "../src/ir/graph.ts";
import { formatType, sameShape, type TensorType } from "../src/ir/shape.ts";
import { HydrantError } from "../src/util/errors.ts";

/**
 * Compares what a graph wants with the weights that are loaded.
 * @throws HydrantError `executor/parameter` for one that is missing or of another type.
 */
export function checkParameters(
  graph: Graph,
  heldType: (name: string) => TensorType | undefined,
): void {
  for (const { name, value } of sourcesOf(graph, "parameter")) {
    const wanted = typeOf(graph, value);
    const held = heldType(name);
    if (held?.dtype === wanted.dtype && sameShape(held.shape, wanted.shape)) continue;
    throw new HydrantError(
      "executor/parameter",
      held === undefined
        ? "The weights have no such tensor."
        : `The tensor is ${formatType(held)}, the graph wants ${formatType(wanted)}.`,
      { path: name },
    );
  }
}
