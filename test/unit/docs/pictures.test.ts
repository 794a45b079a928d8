import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { codeBlocks, readDocument, root } from "./documents.ts";

const page = "docs/how-a-step-works.md";
const pictures = [...readDocument(page).matchAll(/\((images\/[\w-]+\.svg)\)/g)].map(
  ([, path = ""]) => ({ path, text: readFileSync(join(root, "docs", path), "utf8") }),
);
/** The words that a picture shows. */
const shown = (text: string) =>
  [...text.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, word = ""]) => word);

describe("the pictures of a step", () => {
  // What the page's code prints is compared with what the model does; the pictures follow it.
  const output = codeBlocks(page).find((block) => block.output !== undefined)?.output ?? "";
  const tokens = (line: string) =>
    new RegExp(`^${line}: +(.*)$`, "m")
      .exec(output)?.[1]
      ?.split("|")
      .map((token) => token.trim()) ?? [];

  it("show the tokens that the model drafts, accepts and goes on with", () => {
    expect(tokens("tree")).toHaveLength(11);
    const named = (name: string) =>
      shown(pictures.find(({ path }) => path.endsWith(`step-${name}.svg`))?.text ?? "");
    expect(named("tree")).toEqual(expect.arrayContaining([...tokens("tree"), ...tokens("root")]));
    expect(named("mask")).toEqual(expect.arrayContaining(tokens("tree")));
    expect(named("commit")).toEqual(
      expect.arrayContaining([...tokens("tree"), ...tokens("accepted")]),
    );
    expect(named("position")).toEqual(expect.arrayContaining(tokens("accepted")));
  });

  it.each(pictures)("have a title, and colours for light and dark: $path", ({ text }) => {
    expect(text).toMatch(/<title id="title">.+<\/title>/);
    expect(text).toContain("prefers-color-scheme: dark");
  });
});
