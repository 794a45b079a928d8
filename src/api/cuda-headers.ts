import { readFileSync } from "node:fs";
import { preludeHeaders } from "../../runtime/nvrtc/prelude.ts";
import { HydrantError } from "../util/errors.ts";

const root = new URL("../../", import.meta.url);
const read = new Map<string, string>();

/**
 * The headers a CUDA text includes, and those they include, by include name: the prelude's and the
 * kernel bodies' (`kernels/linear/linear.cuh`). No more than that, because they decide the key under
 * which the compiled kernel is cached.
 * @throws HydrantError `nvrtc/header` for a kernel header this installation lacks.
 */
export function cudaHeaders(source: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = (text: string): void => {
    for (const [, name = ""] of text.matchAll(/^\s*#include "([^"]+)"/gm)) {
      if (found[name] !== undefined) continue;
      const header = preludeHeaders()[name] ?? kernelHeader(name);
      found[name] = header;
      visit(header);
    }
  };
  visit(source);
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function kernelHeader(name: string): string {
  const known = read.get(name);
  if (known !== undefined) return known;
  if (!/^kernels\/[\w/-]+\.cuh$/.test(name)) {
    throw new HydrantError("nvrtc/header", `There is no CUDA header "${name}".`, {
      hint: "Kernels include prelude/….cuh and kernels/….cuh only.",
    });
  }
  const url = new URL(name, root);
  try {
    const text = readFileSync(url, "utf8");
    read.set(name, text);
    return text;
  } catch (error) {
    throw new HydrantError("nvrtc/header", "The body of a CUDA kernel is missing.", {
      path: url.pathname,
      hint: "Install the package again.",
      cause: error,
    });
  }
}
