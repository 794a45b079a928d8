import type { SentencePieceModel } from "./sentencepiece.ts";

/** How far below the worst piece an unknown character scores. */
const UNKNOWN_PENALTY = 10;

/**
 * SentencePiece's unigram model: the segmentation with the highest sum of log probabilities
 * (Kudo 2018), found by one forward pass; of equals, the one whose last piece is longest.
 */
export class UnigramSegmenter {
  readonly #scores = new Map<string, number>();
  /** Every beginning of a piece: text that is none of them begins no longer piece either. */
  readonly #prefixes = new Set<string>();
  readonly #unknownScore: number;

  constructor(model: SentencePieceModel) {
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (const piece of model.pieces) {
      if (piece.kind !== "normal") continue;
      min = Math.min(min, piece.score);
      max = Math.max(max, piece.score);
    }
    this.#unknownScore = (Number.isFinite(min) ? min : 0) - UNKNOWN_PENALTY;
    for (const piece of model.pieces) {
      if (piece.kind !== "normal" && piece.kind !== "user-defined") continue;
      const chars = Array.from(piece.text);
      // SentencePiece's own bonus, in bytes: a user-defined piece wins over what covers the same text.
      const score =
        piece.kind === "normal" ? piece.score : Buffer.byteLength(piece.text) * max - 0.1;
      this.#scores.set(piece.text, score);
      let prefix = "";
      for (const char of chars) {
        prefix += char;
        this.#prefixes.add(prefix);
      }
    }
  }

  /** Pieces of `text` in order; a character without a piece stands alone. */
  segment(text: string): string[] {
    const chars = Array.from(text);
    const best = new Float64Array(chars.length + 1).fill(Number.NEGATIVE_INFINITY);
    const start = new Int32Array(chars.length + 1);
    best[0] = 0;
    const relax = (from: number, to: number, score: number): void => {
      const total = (best[from] ?? 0) + score;
      if (total > (best[to] ?? 0)) {
        best[to] = total;
        start[to] = from;
      }
    };
    for (let from = 0; from < chars.length; from++) {
      let piece = "";
      for (let to = from + 1; to <= chars.length; to++) {
        piece += chars[to - 1];
        if (!this.#prefixes.has(piece)) break;
        const score = this.#scores.get(piece);
        if (score !== undefined) relax(from, to, score);
      }
      if (!this.#scores.has(chars[from] ?? "")) relax(from, from + 1, this.#unknownScore);
    }
    const segments: string[] = [];
    for (let end = chars.length; end > 0; end = start[end] ?? 0) {
      segments.push(chars.slice(start[end], end).join(""));
    }
    return segments.reverse();
  }
}
