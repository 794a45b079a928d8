// After `tsc`: puts the files that are no TypeScript beside the JavaScript that reads them.
import { cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
cpSync(join(root, "runtime/nvrtc/prelude"), join(root, "dist/runtime/nvrtc/prelude"), {
  recursive: true,
});
cpSync(join(root, "kernels"), join(root, "dist/kernels"), {
  recursive: true,
  filter: (path) => !path.endsWith(".ts"),
});
