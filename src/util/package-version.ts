import { readFileSync } from "node:fs";

/** The version in package.json, found from the sources and from `dist` alike. */
export function packageVersion(): string {
  // Beside this file's own path, never the working directory's.
  for (const up of ["../../package.json", "../../../package.json"]) {
    let text: string;
    try {
      text = readFileSync(new URL(up, import.meta.url), "utf8");
    } catch {
      continue;
    }
    const manifest: unknown = JSON.parse(text);
    if (typeof manifest === "object" && manifest !== null && "version" in manifest)
      return String(manifest.version);
  }
  return "unknown";
}
