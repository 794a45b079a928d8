import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";

/** A token of the generated text. */
export interface TextToken {
  readonly step: number;
  /** Depth in its step's tree: 0 for the root. */
  readonly depth: number;
  readonly token: number;
  /** What it added to the text; absent without a tokenizer. */
  readonly piece: string | undefined;
}

/** Tokens up to one that ends a line. */
export type Paragraph = readonly TextToken[];

/** Beyond this a text without line ends is broken all the same. */
const longest = 2000;

/**
 * The tokens given out, by paragraphs: what a browser can lay out by itself, so that a long text
 * costs no more to extend than a short one.
 */
export function paragraphsOf({ steps }: RecordedGeneration): readonly Paragraph[] {
  const paragraphs: TextToken[][] = [];
  let open: TextToken[] | undefined;
  for (const [step, { tokens, path, given, pieces }] of steps.entries()) {
    for (const [depth, node] of path.slice(0, given).entries()) {
      const piece = pieces?.[depth];
      if (open === undefined) {
        open = [];
        paragraphs.push(open);
      }
      open.push({ step, depth, token: tokens[node] ?? -1, piece });
      if (piece?.endsWith("\n") === true || open.length >= longest) open = undefined;
    }
  }
  return paragraphs;
}

/** How many tokens of a paragraph belong to steps up to this one. */
export function shownTokens(paragraph: Paragraph, step: number): number {
  const last = paragraph.at(-1);
  if (last === undefined || last.step <= step) return paragraph.length;
  const later = paragraph.findIndex((token) => token.step > step);
  return later < 0 ? paragraph.length : later;
}
