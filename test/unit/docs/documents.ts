import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The documents a person wrote, as paths from the root. The generated reference is in docs/api. */
export const documents: readonly string[] = [
  ...readdirSync(root),
  ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`),
]
  .filter((name) => name.endsWith(".md") && name !== "CHANGELOG.md")
  .sort();

export function readDocument(name: string): string {
  return readFileSync(join(root, name), "utf8");
}

/** A fenced block and what the comments right before it say of it. */
export interface CodeBlock {
  readonly document: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** `<!-- not run: reason -->` */
  readonly notRun: string | undefined;
  /** `<!-- file: name -->`: written under this name for the document's other blocks, not run itself. */
  readonly file: string | undefined;
  /** The text of the `<!-- output -->` block that follows: what running this one prints. */
  readonly output: string | undefined;
}

/**
 * The fenced blocks of a document. A block marked `<!-- output -->` belongs to the block before it.
 * @throws Error for an output block that has none before it.
 */
export function codeBlocks(document: string, text = readDocument(document)): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const fence = /((?:^<!--.*-->\n+)*)^```(\w*)\n([\s\S]*?)^```$/gm;
  for (const match of text.matchAll(fence)) {
    const [, comments = "", language = "", code = ""] = match;
    const marks = new Map(
      [...comments.matchAll(/^<!-- ([\w ]+?)(?:: (.*))? -->$/gm)].map(([, key = "", value]) => [
        key,
        value,
      ]),
    );
    const line = text.slice(0, match.index + comments.length).split("\n").length;
    if (marks.has("output")) {
      const shown = blocks.pop();
      if (shown === undefined) throw new Error(`${document}:${line}: output of nothing`);
      blocks.push({ ...shown, output: code });
      continue;
    }
    blocks.push({
      document,
      line,
      language,
      code,
      notRun: marks.get("not run"),
      file: marks.get("file"),
      output: undefined,
    });
  }
  return blocks;
}

export const allBlocks: readonly CodeBlock[] = documents.flatMap((name) => codeBlocks(name));
