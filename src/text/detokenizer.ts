import type { DecodeOptions, TextStream } from "./token-text.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Text of generated tokens as they come. What it returns, joined, is `decode` of all ids with
 * special tokens skipped; a returned character is whole and final, so at most one character is held
 * back. Work per push depends on the ids pushed, not on the length of the text so far.
 */
export class StreamDetokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #options: DecodeOptions;
  #stream: TextStream;

  /** `skipSpecial` is on unless turned off here. */
  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#options = { skipSpecial: true, ...options };
    this.#stream = tokenizer.decodeStream(this.#options);
  }

  /** The text that `ids` complete. @throws HydrantError `tokenizer/id-out-of-range`. */
  push(ids: Iterable<number>): string {
    let text = "";
    for (const id of ids) text += this.#stream.push(id);
    return text;
  }

  /** Ends the text: U+FFFD for an unfinished character, then a fresh start for the next text. */
  flush(): string {
    const rest = this.#stream.flush();
    this.#stream = this.#tokenizer.decodeStream(this.#options);
    return rest;
  }
}
