// After `tsc`: bundles the explorer page's program and styles to where dist/ looks for them.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleExplorer } from "../dist/src/api/inspect/bundle-explorer.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { js, css } = await bundleExplorer(join(root, "src/explorer/main.tsx"));
const folder = join(root, "dist/src/explorer");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "explorer.js"), js);
writeFileSync(join(folder, "explorer.css"), css);
