// The second half of `npm run build`: CUDA headers, which the compiler passes over, go to dist too.
import { cpSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
for (const folder of ["runtime", "kernels"]) {
  cpSync(join(root, folder), join(root, "dist", folder), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || path.endsWith(".cuh"),
  });
}
