import { HydrantError } from "../util/errors.ts";
import type { SentencePieceModel } from "./sentencepiece.ts";
import { escapeRegExp, SentencePieceEncoder, SPACE_MARK } from "./sentencepiece-encoder.ts";
import { type AddedToken, plainAddedToken, type SpecialTokens } from "./special-tokens.ts";
import {
  type DecodeOptions,
  decodeIds,
  TextStream,
  type TokenText,
  type TokenTextRules,
} from "./token-text.ts";
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";

/**
 * A Llama-type tokenizer from SentencePiece's own file. Beside Hugging Face's files, begin, end,
 * unknown and other control tokens written in the text become their ids, as in its Llama tokenizer;
 * the stretches between them are encoded by SentencePiece, each with its leading space (`legacy`),
 * or only the stretch that begins the text. Alone, the text is SentencePiece's as a whole.
 */
export class SentencePieceTokenizer implements Tokenizer {
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addsBos: boolean;
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  readonly #encoder: SentencePieceEncoder;
  readonly #legacy: boolean;
  readonly #takesSpecial: boolean;
  readonly #tokens: readonly (string | undefined)[];
  readonly #ids = new Map<string, number>();
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #splitter: RegExp;
  readonly #rules: TokenTextRules;

  /** @throws HydrantError `tokenizer/unknown-token` when a begin or end token has no id. */
  constructor(model: SentencePieceModel, special: SpecialTokens, path: string) {
    this.#encoder = new SentencePieceEncoder(model);
    this.#legacy = special.legacy;
    this.#takesSpecial = special.bare !== true;
    const tokens: (string | undefined)[] = model.pieces.map((piece) => piece.text);
    for (const [id, token] of tokens.entries()) {
      if (token !== undefined && !this.#ids.has(token)) this.#ids.set(token, id);
    }
    const added = new Map<string, AddedToken>();
    for (const [id, { text, kind }] of model.pieces.entries()) {
      if (kind === "control" || kind === "unknown")
        added.set(text, plainAddedToken(id, text, true));
    }
    for (const token of special.special) {
      const id = this.#ids.get(token);
      if (id !== undefined) added.set(token, plainAddedToken(id, token, true));
    }
    for (const token of special.added) {
      added.set(token.content, token);
      this.#ids.set(token.content, token.id);
      tokens[token.id] = token.content;
    }
    this.#tokens = tokens;
    this.#added = added;
    this.#splitter = splitter([...added.values()]);
    this.vocabSize = tokens.length;
    this.specialIds = new Set(
      [...added.values()].filter((token) => token.special).map((token) => token.id),
    );

    const inVocabulary = (piece: string) => (this.#ids.has(piece) ? piece : undefined);
    this.bosId = this.#roleId(special.bos ?? inVocabulary(model.bosPiece), path);
    this.eosId = this.#roleId(special.eos ?? inVocabulary(model.eosPiece), path);
    this.addsBos = this.bosId !== undefined && (special.addBos ?? true);

    const texts: (TokenText | undefined)[] = [];
    const textOf = (id: number): TokenText => {
      const token = this.#tokens[id] ?? "";
      if (added.get(token)?.id === id) return { kind: "text", text: token };
      if (model.pieces[id]?.kind === "byte") {
        return { kind: "bytes", bytes: Uint8Array.of(Number.parseInt(token.slice(3, 5), 16)) };
      }
      return { kind: "text", text: token.replaceAll(SPACE_MARK, " ") };
    };
    this.#rules = {
      vocabSize: this.vocabSize,
      specialIds: this.specialIds,
      textOf: (id) => (texts[id] ??= textOf(id)),
      invalidBytes: "per-byte",
      stripsLeadingSpace: model.addDummyPrefix && !model.whitespaceAsSuffix,
    };
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    let first = true;
    // Splitting on one capturing group puts the matches at the odd places.
    const parts = (options.special ?? this.#takesSpecial) ? text.split(this.#splitter) : [text];
    for (const [i, part] of parts.entries()) {
      if (part === "") continue;
      const added =
        i % 2 === 1 ? (this.#added.get(part) ?? this.#added.get(part.trim())) : undefined;
      if (added !== undefined) ids.push(added.id);
      else for (const id of this.#encoder.encode(part, this.#legacy || first)) ids.push(id);
      first = false;
    }
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

  #roleId(token: string | undefined, path: string): number | undefined {
    if (token === undefined) return undefined;
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    throw new HydrantError(
      "tokenizer/unknown-token",
      `Special token ${token} is not in the vocabulary.`,
      {
        path,
      },
    );
  }
}

/** Captures added tokens in a text, longest first, with the white space that they swallow. */
function splitter(added: readonly AddedToken[]): RegExp {
  const longestFirst = [...added].sort((a, b) => b.content.length - a.content.length);
  const patterns = longestFirst.map((token) => {
    const content = escapeRegExp(token.content);
    const whole = token.singleWord ? `(?<![\\p{L}\\p{N}_])${content}(?![\\p{L}\\p{N}_])` : content;
    return `${token.lstrip ? "\\s*" : ""}${whole}${token.rstrip ? "\\s*" : ""}`;
  });
  return new RegExp(`(${patterns.join("|")})`, "u");
}
