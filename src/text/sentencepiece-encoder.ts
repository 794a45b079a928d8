import { bytePiece, type SentencePieceModel } from "./sentencepiece.ts";
import { segmentBpe } from "./sentencepiece-bpe.ts";
import { UnigramSegmenter } from "./sentencepiece-unigram.ts";

/** SentencePiece's visible space, U+2581. */
export const SPACE_MARK = "\u2581";

/**
 * Text to piece ids by SentencePiece's own rules (Kudo & Richardson 2018), without begin or end
 * tokens. Control pieces written in the text are ordinary characters here.
 */
export class SentencePieceEncoder {
  readonly #model: SentencePieceModel;
  /** Pieces that merging may produce. */
  readonly #mergeable = new Map<string, number>();
  readonly #userDefined: RegExp | undefined;
  readonly #unigram: UnigramSegmenter | undefined;
  readonly #byteIds: readonly number[];

  constructor(model: SentencePieceModel) {
    this.#model = model;
    const byText = new Map<string, number>();
    const userDefined: string[] = [];
    for (const [id, piece] of model.pieces.entries()) {
      if (!byText.has(piece.text)) byText.set(piece.text, id);
      if (piece.kind === "user-defined") userDefined.push(piece.text);
      if (piece.kind === "normal" || piece.kind === "user-defined" || piece.kind === "unused") {
        this.#mergeable.set(piece.text, id);
      }
    }
    this.#userDefined = alternation(userDefined);
    this.#unigram = model.type === "unigram" ? new UnigramSegmenter(model) : undefined;
    this.#byteIds = model.byteFallback
      ? Array.from({ length: 256 }, (_, byte) => byText.get(bytePiece(byte)) ?? model.unkId)
      : [];
  }

  /**
   * @param dummyPrefix false leaves out the leading space that the model would add: for text that
   * continues behind something else.
   */
  encode(text: string, dummyPrefix = true): number[] {
    const normalized = this.#normalize(text.toWellFormed(), dummyPrefix);
    const segments =
      this.#unigram === undefined
        ? segmentBpe(this.#symbols(normalized), this.#mergeable, this.#model.pieces)
        : this.#unigram.segment(normalized);
    const ids: number[] = [];
    let afterUnknown = false;
    for (const segment of segments) {
      const id = this.#mergeable.get(segment);
      if (id === undefined && this.#model.byteFallback) {
        for (const byte of new TextEncoder().encode(segment)) {
          ids.push(this.#byteIds[byte] ?? this.#model.unkId);
        }
      } else if (id !== undefined) ids.push(id);
      // A run of unknown characters is one unknown token.
      else if (!afterUnknown) ids.push(this.#model.unkId);
      afterUnknown = id === undefined;
    }
    return ids;
  }

  #normalize(text: string, dummyPrefix: boolean): string {
    const model = this.#model;
    let normalized = text;
    if (model.removeExtraWhitespaces) {
      normalized = normalized.replace(/ {2,}/g, " ").replace(/^ | $/g, "");
    }
    if (normalized === "") return "";
    if (model.addDummyPrefix && dummyPrefix) {
      normalized = model.whitespaceAsSuffix ? `${normalized} ` : ` ${normalized}`;
    }
    return model.escapeWhitespaces ? normalized.replaceAll(" ", SPACE_MARK) : normalized;
  }

  /** Characters, with each user-defined piece kept whole. */
  #symbols(text: string): { text: string; frozen: boolean }[] {
    const pattern = this.#userDefined;
    const loose = (part: string) => Array.from(part, (char) => ({ text: char, frozen: false }));
    if (pattern === undefined) return loose(text);
    // Splitting on one capturing group puts the matches at the odd places.
    return text
      .split(pattern)
      .flatMap((part, i) => (i % 2 === 1 ? [{ text: part, frozen: true }] : loose(part)));
  }
}

/** A pattern that captures the longest of `texts` at the earliest place; `undefined` for none. */
export function alternation(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(`(${longestFirst.map(escapeRegExp).join("|")})`, "gu");
}

export function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
