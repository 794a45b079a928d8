import { formatPatch, structuredPatch } from "diff";
import { generatedPart } from "./flatten-cuda.ts";

/** A kernel's text in its parts: headers by name, the generated part last, as `flattenCuda` joins them. */
export function partsOf(cuda: string): ReadonlyMap<string, string> {
  const pieces = cuda.split(/^\/\/ ---- (\S+) -{4,}$/m);
  const parts = new Map<string, string>();
  for (let at = 1; at < pieces.length; at += 2) {
    const [name = "", text = ""] = pieces.slice(at, at + 2);
    parts.set(name, `${text.trim()}\n`);
  }
  return parts;
}

/** Unified diff with three lines of context, empty where the texts are the same. */
export function patchOf(before: string, after: string, names: readonly [string, string]): string {
  if (before === after) return "";
  return formatPatch(
    structuredPatch(...names, before, after, undefined, undefined, { context: 3 }),
  );
}

/** What is different in the texts two kernels include. */
export interface HeaderChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export function headerChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): HeaderChanges {
  const headers = (parts: ReadonlyMap<string, string>) =>
    [...parts.keys()].filter((name) => name !== generatedPart);
  return {
    added: headers(after).filter((name) => !before.has(name)),
    removed: headers(before).filter((name) => !after.has(name)),
    changed: headers(after).filter(
      (name) => before.has(name) && before.get(name) !== after.get(name),
    ),
  };
}
