import type { StopStringMatcher } from "../text/stop-strings.ts";
import type { TextStream } from "../text/token-text.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** Tokens in, final text out: characters completed, stop strings looked for across chunk borders. */
export class TextAssembly {
  readonly #vocabSize: number;
  readonly #stream: TextStream | undefined;
  readonly #stops: StopStringMatcher | undefined;

  constructor(
    tokenizer: Tokenizer | undefined,
    stops: StopStringMatcher | undefined,
    continuing: boolean,
  ) {
    this.#vocabSize = tokenizer?.vocabSize ?? 0;
    this.#stream = tokenizer?.decodeStream({ skipSpecial: true, continuing });
    this.#stops = stops;
  }

  /** @returns text that will not change, token by token up to the one that completes a stop string. */
  push(tokens: readonly number[]): { pieces: string[]; stopped: boolean } {
    const pieces: string[] = [];
    for (const token of tokens) {
      // Embeddings may be padded past the vocabulary; such an id has no text.
      const piece = token < this.#vocabSize ? (this.#stream?.push(token) ?? "") : "";
      const matched = this.#stops?.push(piece) ?? { text: piece };
      pieces.push(matched.text);
      if ("stopped" in matched && matched.stopped !== undefined) return { pieces, stopped: true };
    }
    return { pieces, stopped: false };
  }

  /** What was held back for a character or a stop string that never came. */
  flush(): { text: string; stopped: boolean } {
    const tail = this.#stream?.flush() ?? "";
    const matched = this.#stops?.push(tail) ?? { text: tail };
    if ("stopped" in matched && matched.stopped !== undefined)
      return { text: matched.text, stopped: true };
    return { text: matched.text + (this.#stops?.flush() ?? ""), stopped: false };
  }
}
