import type { InspectedTree } from "../inspection/inspection.ts";
import type { TreeTopology } from "../speculation/tree.ts";

/** A tree as pages show it: plain lists, by node. */
export function inspectedTree({ name, parents, depths, ranks }: TreeTopology): InspectedTree {
  return { name, parents: [...parents], depths: [...depths], ranks: [...ranks] };
}
