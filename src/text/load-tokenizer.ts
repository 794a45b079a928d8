import { join } from "node:path";
import { readOptionalFile, readOptionalJson } from "./json-files.ts";
import { parseSentencePieceModel } from "./sentencepiece.ts";
import { SentencePieceTokenizer } from "./sentencepiece-tokenizer.ts";
import { readSpecialTokens } from "./special-tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { TokenizerJsonTokenizer } from "./tokenizer-json.ts";

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
