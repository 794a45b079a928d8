import fc from "fast-check";
import { type TreePath, type TreeTopology, treeFromPaths } from "../../../src/speculation/tree.ts";

/** Sets of paths closed under parents, in random order; ranks may skip. */
export function arbitraryPaths(maxNodes = 80): fc.Arbitrary<readonly TreePath[]> {
  return fc
    .array(fc.tuple(fc.nat(1000), fc.nat(5)), { maxLength: maxNodes })
    .map((growth) => {
      const paths: TreePath[] = [[]];
      const known = new Set([""]);
      for (const [parent, rank] of growth) {
        const path = [...(paths[parent % paths.length] ?? []), rank];
        if (path.length > 8 || known.has(path.join("."))) continue;
        known.add(path.join("."));
        paths.push(path);
      }
      return paths.slice(1);
    })
    .chain((paths) => fc.shuffledSubarray(paths, { minLength: paths.length }));
}

export function arbitraryTree(maxNodes?: number): fc.Arbitrary<TreeTopology> {
  return arbitraryPaths(maxNodes).map((paths) => treeFromPaths(paths));
}

/** fast-check settings: always the same cases. */
export const fixed = (numRuns = 100) => ({ seed: 20_240_209, numRuns });
