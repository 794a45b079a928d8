import type { Piece } from "./sentencepiece.ts";

/** One starting symbol: a character, or a piece that never merges with its neighbours. */
export interface BpeSymbol {
  readonly text: string;
  readonly frozen: boolean;
}

/**
 * SentencePiece's byte-pair merging: among all neighbouring pairs whose joined text is a piece, the
 * one with the highest score merges first, the leftmost of equals. The priority belongs to the
 * joined text, not to the pair as in a list of merges, so ties between two ways of making the same
 * piece are decided by place.
 *
 * O(n log n) for n symbols.
 */
export function segmentBpe(
  symbols: readonly BpeSymbol[],
  mergeable: ReadonlyMap<string, number>,
  pieces: readonly Piece[],
): string[] {
  const count = symbols.length;
  const text: string[] = symbols.map((symbol) => symbol.text);
  const frozen = symbols.map((symbol) => symbol.frozen);
  const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const queue = new PairQueue();
  /** How an unused piece was made: it may take part in merges but never stays. */
  const halvesOfUnused = new Map<string, readonly [string, string]>();

  const offer = (left: number, right: number): void => {
    if (left < 0 || right < 0 || frozen[left] || frozen[right]) return;
    const [a = "", b = ""] = [text[left], text[right]];
    const joined = a + b;
    const id = mergeable.get(joined);
    const piece = id === undefined ? undefined : pieces[id];
    if (piece === undefined) return;
    queue.push({ score: piece.score, left, right, joined });
    if (piece.kind === "unused") halvesOfUnused.set(joined, [a, b]);
  };

  for (let i = 0; i + 1 < count; i++) offer(i, i + 1);
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    const { left, right, joined } = pair;
    const [a = "", b = ""] = [text[left], text[right]];
    // One of the two has merged with another since: its text has grown or is gone.
    if (a === "" || b === "" || next[left] !== right || a.length + b.length !== joined.length)
      continue;
    text[left] = joined;
    text[right] = "";
    const after = next[right] ?? -1;
    next[left] = after;
    if (after >= 0) previous[after] = left;
    offer(previous[left] ?? -1, left);
    offer(left, after);
  }

  const resolve = (segment: string): string[] => {
    const halves = halvesOfUnused.get(segment);
    return halves === undefined ? [segment] : [...resolve(halves[0]), ...resolve(halves[1])];
  };
  return text.filter((part) => part !== "").flatMap(resolve);
}

interface Pair {
  readonly score: number;
  readonly left: number;
  readonly right: number;
  readonly joined: string;
}

/** Binary heap of merge candidates: highest score first, then leftmost. */
class PairQueue {
  readonly #heap: Pair[] = [];

  push(pair: Pair): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(pair, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = pair;
  }

  pop(): Pair | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let best = left;
      if (right !== undefined && before(right, left)) {
        best = right;
        child++;
      }
      if (!before(best, last)) break;
      heap[at] = best;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Pair, b: Pair): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}
