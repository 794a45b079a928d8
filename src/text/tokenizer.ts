import { join } from "node:path";
import { readOptionalFile, readOptionalJson } from "./json-files.ts";
import { parseSentencePieceModel } from "./sentencepiece.ts";
import { SentencePieceTokenizer } from "./sentencepiece-tokenizer.ts";
import { readSpecialTokens } from "./special-tokens.ts";
import type { DecodeOptions, TextStream } from "./token-text.ts";
import { TokenizerJsonTokenizer } from "./tokenizer-json.ts";

export interface EncodeOptions {
  /**
   * Begin with the beginning-of-sequence token: exactly one, whether or not the text writes it
   * itself; none when the model has no such token. Default false: no token is added.
   */
  readonly bos?: boolean;
}

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Ids of `text`. Special tokens written out in the text become their own ids. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Text of `ids`, exactly as the tokens spell it. @throws HydrantError `tokenizer/id-out-of-range`. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Decodes ids as they come; `decode` is this over all ids at once. */
  decodeStream(options?: DecodeOptions): TextStream;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether the model's own files put `bosId` before a plain prompt. */
  readonly addsBos: boolean;
  /** One more than the largest id. The model's embedding may have more rows (padding). */
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  /** The token as the vocabulary writes it; `undefined` for an id without a token. */
  idToToken(id: number): string | undefined;
  tokenToId(token: string): number | undefined;
}

/**
 * The tokenizer of a model folder: `tokenizer.json` where there is one, else SentencePiece's
 * `tokenizer.model`, with `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`
 * beside it. `undefined` when the folder has neither.
 * @throws HydrantError naming the file, when one is broken or of a kind that is not supported.
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer | undefined> {
  const special = await readSpecialTokens(dir);
  const json = await readOptionalJson(dir, "tokenizer.json");
  if (json !== undefined) return new TokenizerJsonTokenizer(json, special);
  const path = join(dir, "tokenizer.model");
  const bytes = await readOptionalFile(path);
  if (bytes === undefined) return undefined;
  return new SentencePieceTokenizer(parseSentencePieceModel(bytes, path), special, path);
}
