import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where everything this project may keep between runs lives: `HYDRANT_CACHE_DIR`, else
 * `hydrant` in the user's cache folder (XDG base directories). The folder may not exist.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const own = env.HYDRANT_CACHE_DIR;
  if (own !== undefined && own !== "") return own;
  const xdg = env.XDG_CACHE_HOME;
  return join(xdg !== undefined && xdg !== "" ? xdg : join(homedir(), ".cache"), "hydrant");
}
