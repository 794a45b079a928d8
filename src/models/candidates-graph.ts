import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { tensor } from "../ir/shape.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { type TreePath, treeFromPaths } from "../speculation/tree.ts";

/**
 * What a drafter proposes at every depth given the right tokens above it. It runs where a step would
 * draft, in the same session, and commits nothing.
 * Inputs: root i32[1], path i32[depths] (the tokens that follow the root).
 * Output: candidates i32[depths × ranks], best first; row d belongs to the place of path token d and
 * is proposed knowing root and path[0 .. d - 1] (path[depths - 1] is never looked at).
 */
export function buildCandidates(drafter: Drafter, depths: number, ranks: number): Graph {
  const b = new GraphBuilder("candidates");
  const root = b.input("root", tensor("i32", 1));
  const path = b.input("path", tensor("i32", depths));
  const length = b.state("length", tensor("i32", 1));
  const tokens = drafter.draft(b, combTree(depths, ranks), { root, length, path });
  // Breadth first, every depth is one expanded node's children by rank.
  const drafted = Array.from({ length: depths * ranks }, (_, index) => index + 1);
  b.output("candidates", b.gather(tokens, b.constant("i32", drafted), "candidates"));
  return b.finish();
}

/** `ranks` children at every depth, of which the first is expanded. */
function combTree(depths: number, ranks: number) {
  const paths = Array.from({ length: depths }, (_, depth) =>
    Array.from({ length: ranks }, (_, rank): TreePath => [...Array<number>(depth).fill(0), rank]),
  ).flat();
  return treeFromPaths(paths, `comb-${depths}x${ranks}`);
}
