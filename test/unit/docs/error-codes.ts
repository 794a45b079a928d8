import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./documents.ts";

/** Source files that throw errors a user may see. */
const sources = ["src", "runtime", "kernels", "codegen", "bench"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

/**
 * Every error code in the source. An area is what stands before the slash in some
 * `new HydrantError("area/what"`; from then on every text `"area/what"` counts, as codes also stand
 * in tables and pass through helpers.
 */
export function errorCodes(): Set<string> {
  const texts = sources.map((file) => readFileSync(join(root, file), "utf8"));
  const areas = new Set(
    texts.flatMap((text) =>
      [...text.matchAll(/(?:new HydrantError|super)\(\s*["`]([a-z-]+)\//g)].map(
        ([, area = ""]) => area,
      ),
    ),
  );
  return new Set(
    texts.flatMap((text) => [
      ...[...text.matchAll(/"([a-z0-9-]+)\/[a-z0-9-]+"/g)]
        .filter(([, area = ""]) => areas.has(area))
        .map(([code]) => code.slice(1, -1)),
      // `tree/${kind}`, the kinds being first arguments of the file's `fail`, or pairs it is given.
      ...[...text.matchAll(/`([a-z-]+)\/\$\{(?:kind|code)\}`/g)].flatMap(([, area = ""]) =>
        [...text.matchAll(/(?:fail\(\s*|\[)"([a-z-]+)",\s/g)].map(
          ([, kind = ""]) => `${area}/${kind}`,
        ),
      ),
    ]),
  );
}
