// After `tsc`: puts the files that are no TypeScript beside the JavaScript that reads them.
import { cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const assets = ["runtime/nvrtc/prelude"];
for (const asset of assets)
  cpSync(join(root, asset), join(root, "dist", asset), { recursive: true });
