import { writeFileSync } from "node:fs";
import type { TreeTopology } from "../../src/speculation/tree.ts";
import { HydrantError } from "../../src/util/errors.ts";

/** A tree as `--tree FILE` reads it: a JSON list of paths, a depth to a line. */
export function formatTree(tree: TreeTopology): string {
  const lines = tree.levels
    .slice(1)
    .map((nodes) => nodes.map((node) => JSON.stringify(tree.paths[node])).join(", "));
  return lines.length === 0 ? "[]\n" : `[\n  ${lines.join(",\n  ")}\n]\n`;
}

/** @throws HydrantError `prompts/tree-file` */
export function writeTree(file: string, tree: TreeTopology): void {
  try {
    writeFileSync(file, formatTree(tree));
  } catch (cause) {
    throw new HydrantError("prompts/tree-file", "The tree file cannot be written.", {
      path: file,
      cause,
    });
  }
}
