import { HydrantError } from "../util/errors.ts";
import { Utf8Stream, type Utf8Replacement } from "./utf8-stream.ts";

/** What one token contributes to the text: finished characters, or bytes that may be part of one. */
export type TokenText =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

/** Everything decoding needs to know about a vocabulary. */
export interface TokenTextRules {
  /** Ids lie in [0, vocabSize). */
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  /** The contribution of one id; an id without a token contributes nothing. */
  textOf(id: number): TokenText;
  readonly invalidBytes: Utf8Replacement;
  /** Whether one space at the very beginning is the encoder's own and goes (SentencePiece's rule). */
  readonly stripsLeadingSpace: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leaves special tokens out. Default false. */
  readonly skipSpecial?: boolean;
  /** The ids continue an earlier text, so a leading space is the model's own and stays. Default false. */
  readonly continuing?: boolean;
}

/**
 * Ids to text, one id at a time. Constant work per id, and at most one unfinished character held
 * back, because a token's text depends on nothing but the bytes left over before it.
 */
export class TextStream {
  readonly #rules: TokenTextRules;
  readonly #skipSpecial: boolean;
  readonly #utf8: Utf8Stream;
  #atStart: boolean;

  /** @internal Made by `Tokenizer.decodeStream`. */
  constructor(rules: TokenTextRules, options: DecodeOptions = {}) {
    this.#rules = rules;
    this.#skipSpecial = options.skipSpecial ?? false;
    this.#utf8 = new Utf8Stream(rules.invalidBytes);
    this.#atStart = rules.stripsLeadingSpace && options.continuing !== true;
  }

  /** The characters the id completes. @throws HydrantError `tokenizer/id-out-of-range`. */
  push(id: number): string {
    const rules = this.#rules;
    if (!Number.isInteger(id) || id < 0 || id >= rules.vocabSize) {
      throw new HydrantError(
        "tokenizer/id-out-of-range",
        `Token id ${id} cannot be decoded: the tokenizer knows ids 0 to ${rules.vocabSize - 1}.`,
        { hint: "Check that the tokenizer belongs to this model." },
      );
    }
    if (this.#skipSpecial && rules.specialIds.has(id)) return "";
    const piece = rules.textOf(id);
    switch (piece.kind) {
      case "text":
        return this.#fromStart(this.#utf8.flush() + piece.text);
      case "bytes":
        return this.#fromStart(this.#utf8.push(piece.bytes));
      default:
        return piece satisfies never;
    }
  }

  /** What an unfinished character leaves behind at the end of the text. */
  flush(): string {
    return this.#fromStart(this.#utf8.flush());
  }

  #fromStart(text: string): string {
    if (!this.#atStart || text === "") return text;
    this.#atStart = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }
}

/** The text of all of `ids`. @throws HydrantError `tokenizer/id-out-of-range`. */
export function decodeIds(
  rules: TokenTextRules,
  ids: Iterable<number>,
  options?: DecodeOptions,
): string {
  const stream = new TextStream(rules, options);
  let text = "";
  for (const id of ids) text += stream.push(id);
  return text + stream.flush();
}
