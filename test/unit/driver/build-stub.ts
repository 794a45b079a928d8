import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const INCLUDES = ["/usr/local/cuda/include", "/usr/include"];

/** The compiled stub library, or why there is none on this machine. */
export function buildStub(): { readonly path: string } | { readonly missing: string } {
  const include = INCLUDES.find((folder) => existsSync(join(folder, "cuda.h")));
  if (include === undefined) return { missing: "cuda.h is not installed" };
  if (spawnSync("cc", ["--version"]).status !== 0) return { missing: "there is no C compiler" };
  const source = fileURLToPath(new URL("libcuda-stub.c", import.meta.url));
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const path = join(tmpdir(), `hydrant-libcuda-stub-${hash}.so`);
  if (existsSync(path)) return { path };
  const part = join(mkdtempSync(join(tmpdir(), "hydrant-stub-")), "stub.so");
  const flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", `-I${include}`];
  const cc = spawnSync("cc", [...flags, "-o", part, source], { encoding: "utf8" });
  if (cc.status !== 0)
    throw new Error(`the stub does not compile against ${include}:\n${cc.stderr}`);
  renameSync(part, path);
  return { path };
}
