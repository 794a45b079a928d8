import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  ...(await readdir(join(root, "docs"))).map((name) => `docs/${name}`),
];
const snippets = (
  await Promise.all(
    documents
      .filter((name) => name.endsWith(".md"))
      .map(async (name) => {
        const text = await readFile(join(root, name), "utf8");
        return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(
          ([, language = "", code = ""], index) => ({ name, index, language, code }),
        );
      }),
  )
).flat();
let directory: string;

beforeAll(async () => {
  // Inside the checkout, so that packages resolve.
  directory = await mkdtemp(join(root, ".snippets-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("code in the documents", () => {
  it.each(snippets.filter(({ language }) => language === "ts"))(
    "runs: $name, block $index",
    async ({ name, index, code }) => {
      const file = join(directory, `${name.replaceAll(/\W/g, "-")}-${index}.ts`);
      // Paths in snippets are as seen from a folder of the checkout, which this one is.
      await writeFile(file, code.replace('"hydrant"', '"../src/index.ts"'));
      const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], {
        cwd: root,
        encoding: "utf8",
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
  );

  it.each(snippets.filter(({ language }) => language === "json"))(
    "parses: $name, block $index",
    ({ code }) => {
      expect(() => JSON.parse(code)).not.toThrow();
    },
  );

  it("names scripts that exist", async () => {
    const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const named = snippets
      .filter(({ language }) => language === "sh")
      .flatMap(({ code }) => [...code.matchAll(/npm run (?:-s )?([\w:-]+)/g)]);
    expect(named.length).toBeGreaterThan(3);
    for (const [, script = ""] of named) expect(Object.keys(scripts)).toContain(script);
  });

  it("links to files that exist", async () => {
    for (const name of documents) {
      const text = await readFile(join(root, name), "utf8");
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)) {
        await expect(
          readFile(join(root, name, "..", target.replace(/#.*/, ""))),
          `${name} → ${target}`,
        ).resolves.toBeDefined();
      }
    }
  });
});
