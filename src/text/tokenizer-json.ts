import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { HydrantError } from "../util/errors.ts";
import { JsonFields } from "../util/json-fields.ts";
import { decoderRules } from "./decoder-rules.ts";
import { messageOf } from "./json-files.ts";
import { type AddedToken, addedToken, type SpecialTokens, tokenId } from "./special-tokens.ts";
import {
  type DecodeOptions,
  decodeIds,
  TextStream,
  type TokenText,
  type TokenTextRules,
} from "./token-text.ts";
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";

/**
 * A tokenizer from Hugging Face's `tokenizer.json`. Encoding is `@huggingface/tokenizers`; decoding
 * is ours, because text has to stream and to stay as the tokens spell it: no clean-up of spaces
 * before punctuation, whatever `clean_up_tokenization_spaces` says.
 */
export class TokenizerJsonTokenizer implements Tokenizer {
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addsBos: boolean;
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  readonly #library: HuggingFaceTokenizer;
  readonly #tokens: readonly (string | undefined)[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #rules: TokenTextRules;

  /** @throws HydrantError `tokenizer/broken`, `tokenizer/unsupported-decoder`, `tokenizer/unknown-token`. */
  constructor(file: JsonFields, special: SpecialTokens) {
    const added = mergeAddedTokens(file, special);
    this.#library = openLibrary(file, special, added);
    this.#ids = this.#library.get_vocab();
    const tokens: (string | undefined)[] = [];
    for (const [token, id] of this.#ids) tokens[id] = token;
    this.#tokens = tokens;
    this.vocabSize = tokens.length;
    this.specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.bosId = this.#roleId(special.bos, file);
    this.eosId = this.#roleId(special.eos, file);
    const begins = this.bosId !== undefined && this.#library.encode("").ids[0] === this.bosId;
    this.addsBos = this.bosId !== undefined && (special.addBos ?? begins);

    const decoder = decoderRules(file.optionalObject("decoder"));
    const literal = new Map(added.map((token) => [token.id, token.content]));
    const texts: (TokenText | undefined)[] = [];
    const textOf = (id: number): TokenText => {
      const content = literal.get(id);
      return content === undefined
        ? decoder.textOf(tokens[id] ?? "")
        : { kind: "text", text: content };
    };
    this.#rules = {
      vocabSize: this.vocabSize,
      specialIds: this.specialIds,
      textOf: (id) => (texts[id] ??= textOf(id)),
      invalidBytes: decoder.invalidBytes,
      stripsLeadingSpace: decoder.stripsLeadingSpace,
    };
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { ids } = this.#library.encode(text.toWellFormed(), { add_special_tokens: false });
    if (options.bos && this.bosId !== undefined && ids[0] !== this.bosId) ids.unshift(this.bosId);
    return ids;
  }

  decode(ids: readonly number[], options?: DecodeOptions): string {
    return decodeIds(this.#rules, ids, options);
  }

  decodeStream(options?: DecodeOptions): TextStream {
    return new TextStream(this.#rules, options);
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  #roleId(token: string | undefined, file: JsonFields): number | undefined {
    if (token === undefined) return undefined;
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    throw new HydrantError(
      "tokenizer/unknown-token",
      `Special token ${token} is not in the vocabulary.`,
      {
        path: file.file,
      },
    );
  }
}

/** `added_tokens` of the file, and those which only the files beside it know. */
function mergeAddedTokens(file: JsonFields, special: SpecialTokens): AddedToken[] {
  const list = file.raw("added_tokens") ?? [];
  if (!Array.isArray(list)) throw file.bad("added_tokens", "must be a list");
  const added = list.map((item: unknown, i) => {
    const fields = new JsonFields(item, file.file, `added_tokens.${i}.`);
    return addedToken(fields, tokenId(fields, String(i), fields.raw("id")));
  });
  const known = new Set(added.map((token) => token.content));
  return [...added, ...special.added.filter((token) => !known.has(token.content))];
}

function openLibrary(
  file: JsonFields,
  special: SpecialTokens,
  added: readonly AddedToken[],
): HuggingFaceTokenizer {
  const model = file.optionalObject("model");
  if (model === undefined) throw broken(file, "it has no model");
  const part = (name: string) => file.raw(name) ?? null;
  try {
    return new HuggingFaceTokenizer(
      {
        model: file.raw("model"),
        normalizer: part("normalizer"),
        pre_tokenizer: part("pre_tokenizer"),
        post_processor: part("post_processor"),
        decoder: part("decoder"),
        added_tokens: added.map(({ singleWord, ...token }) => ({
          ...token,
          single_word: singleWord,
        })),
      },
      { eos_token: special.eos },
    );
  } catch (cause) {
    throw broken(file, messageOf(cause), cause);
  }
}

function broken(file: JsonFields, why: string, cause?: unknown): HydrantError {
  return new HydrantError("tokenizer/broken", `The tokenizer cannot be built: ${why}.`, {
    path: file.file,
    hint: "Download it again, or check that it is a Hugging Face tokenizer.json.",
    cause,
  });
}
