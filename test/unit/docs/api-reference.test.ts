import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application } from "typedoc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "./documents.ts";

/** The generated pages of a folder, by name. */
function pages(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );
}

describe("the API reference", () => {
  const out = mkdtempSync(join(tmpdir(), "hydrant-api-"));
  const warnings: string[] = [];
  beforeAll(async () => {
    const app = await Application.bootstrapWithPlugins({
      options: join(root, "typedoc.json"),
      out,
    });
    const { logger } = app;
    logger.warn = (text) => warnings.push(text);
    logger.validationWarning = (text) => warnings.push(text);
    logger.info = () => {};
    const project = await app.convert();
    if (project === undefined) throw new Error("typedoc could not read src/index.ts");
    app.validate(project);
    await app.generateOutputs(project);
  }, 60_000);
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  it("is what `npm run docs:api` makes of the docstrings", () => {
    expect(pages(join(root, "docs/api"))).toEqual(pages(out));
  });

  it("has a docstring to show for everything that is exported", () => {
    expect(warnings).toEqual([]);
  });

  it("has a section for everything that is exported", () => {
    expect(Object.values(pages(out)).join("\n")).not.toMatch(/^## More$/m);
  });
});
