import { HydrantError } from "../util/errors.ts";
import { type TreePath, type TreeTopology, treeFromPaths } from "./tree.ts";

/**
 * Reads a tree from JSON: a list of paths, each a list of ranks, as in `[[0], [1], [0, 0]]`.
 * @param file names the tree and is what errors point at.
 * @throws HydrantError `tree/json` when the text is no such list; `tree/…` as `treeFromPaths`.
 */
export function parseTreeJson(text: string, file: string): TreeTopology {
  const fail = (message: string, cause?: unknown): never => {
    throw new HydrantError("tree/json", message, {
      path: file,
      hint: "A tree is a JSON list of paths such as [[0], [1], [0, 0]].",
      cause,
    });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`Not JSON: ${error instanceof Error ? error.message : String(error)}.`, error);
  }
  if (!Array.isArray(value)) return fail("The outermost value is not a list.");
  const paths = value.map((path: unknown, index): TreePath => {
    if (!Array.isArray(path)) return fail(`Entry ${index} is not a list.`);
    return path.map((rank: unknown): number =>
      typeof rank === "number"
        ? rank
        : fail(`Entry ${index} holds ${shown(rank)}, which is not a number.`),
    );
  });
  const name = file.replace(/^.*[/\\]/, "").replace(/\.json$/, "");
  return treeFromPaths(paths, name, file);
}

/** A value for an error message. Lists and objects may be nested too deep to print. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null
    ? "an object"
    : JSON.stringify(value).slice(0, 40);
}
