import type { DecodeOptions, TextStream } from "./token-text.ts";

/** How text becomes ids. */
export interface EncodeOptions {
  /**
   * Begin with the beginning-of-sequence token: exactly one, whether or not the text writes it
   * itself; none when the model has no such token. Default false: no token is added.
   */
  readonly bos?: boolean;
  /**
   * Special tokens written out in the text become their own ids. Default true, but for a
   * `tokenizer.model` alone: SentencePiece itself takes no control token from a text, and there are
   * no files that ask for Hugging Face's rule. (A `tokenizer.json` always has that rule.)
   */
  readonly special?: boolean;
}

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Ids of `text`. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Text of `ids`, exactly as the tokens spell it. @throws HydrantError `tokenizer/id-out-of-range`. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Decodes ids as they come; `decode` is this over all ids at once. */
  decodeStream(options?: DecodeOptions): TextStream;
  /** The beginning-of-text token, if the model has one. */
  readonly bosId: number | undefined;
  /** The end-of-text token, if the model has one. */
  readonly eosId: number | undefined;
  /** Whether the model's own files put `bosId` before a plain prompt. */
  readonly addsBos: boolean;
  /** One more than the largest id. The model's embedding may have more rows (padding). */
  readonly vocabSize: number;
  /** Tokens that stand for no text: beginning and end of text, turns of a chat. */
  readonly specialIds: ReadonlySet<number>;
  /** The token as the vocabulary writes it; `undefined` for an id without a token. */
  idToToken(id: number): string | undefined;
  /** The id of a token as the vocabulary writes it; `undefined` where there is no such token. */
  tokenToId(token: string): number | undefined;
}
