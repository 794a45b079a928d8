import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json, from the sources and from `dist` alike. */
export function packageRoot(): string {
  const here = fileURLToPath(import.meta.url);
  return here.slice(0, here.lastIndexOf(join("src", "cli"))).replace(/dist[\\/]$/, "");
}
