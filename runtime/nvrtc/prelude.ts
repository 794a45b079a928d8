import { readFileSync } from "node:fs";
import { HydrantError } from "../../src/util/errors.ts";

const PARTS = ["types", "convert", "memory", "mma", "async-copy", "wgmma", "all"] as const;

let headers: Readonly<Record<string, string>> | undefined;

/**
 * Our CUDA headers by include name, for `CompileRequest.headers`: `prelude/types.cuh` (integers,
 * bf16, f16, fp8, vectors), `convert`, `memory`, `mma`, `async-copy`, `wgmma`, and `all`.
 * Throws `nvrtc/prelude` when the installation lacks them.
 */
export function preludeHeaders(): Readonly<Record<string, string>> {
  headers ??= Object.fromEntries(PARTS.map((part) => [`prelude/${part}.cuh`, read(part)]));
  return headers;
}

function read(part: string): string {
  const url = new URL(`prelude/${part}.cuh`, import.meta.url);
  try {
    return readFileSync(url, "utf8");
  } catch (error) {
    throw new HydrantError("nvrtc/prelude", "A CUDA header of this package is missing.", {
      path: url.pathname,
      hint: "Install the package again.",
      cause: error,
    });
  }
}
