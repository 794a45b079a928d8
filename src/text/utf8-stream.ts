/**
 * What stands for bytes that are not UTF-8.
 * - `per-subpart`: one U+FFFD for each maximal well-begun part, as the WHATWG and Rust decoders do
 *   (Unicode 15, section 3.9, "substitution of maximal subparts").
 * - `per-byte`: one U+FFFD for each byte, as SentencePiece does for byte pieces.
 */
export type Utf8Replacement = "per-subpart" | "per-byte";

const REPLACEMENT = "\uFFFD";

/**
 * Decodes UTF-8 that arrives in arbitrary pieces. Holds back at most the 3 bytes of a character
 * that has begun well, so text once returned never changes. Keeps a byte order mark as a character.
 */
export class Utf8Stream {
  readonly #replacement: Utf8Replacement;
  #held: number[] = [];

  constructor(replacement: Utf8Replacement) {
    this.#replacement = replacement;
  }

  push(bytes: Iterable<number>): string {
    let text = "";
    for (const byte of bytes) text += this.#take(byte);
    return text;
  }

  /** The replacement for whatever an unfinished character left behind; empty when nothing did. */
  flush(): string {
    const count =
      this.#replacement === "per-byte" ? this.#held.length : Math.min(this.#held.length, 1);
    this.#held = [];
    return REPLACEMENT.repeat(count);
  }

  #take(byte: number): string {
    const held = this.#held;
    const lead = held[0];
    if (lead === undefined) {
      if (byte < 0x80) return String.fromCharCode(byte);
      if (sequenceLength(byte) === 0) return REPLACEMENT;
      held.push(byte);
      return "";
    }
    if (!continues(lead, held.length, byte)) return this.flush() + this.#take(byte);
    held.push(byte);
    if (held.length < sequenceLength(lead)) return "";
    this.#held = [];
    return String.fromCodePoint(codePoint(held));
  }
}

/** Bytes of the character that `lead` begins; 0 when no character begins with it. */
function sequenceLength(lead: number): 0 | 2 | 3 | 4 {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/** Unicode 15, table 3-7: the second byte's range is narrower where it would be overlong or a surrogate. */
function continues(lead: number, index: number, byte: number): boolean {
  if (index > 1) return byte >= 0x80 && byte <= 0xbf;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  return byte >= low && byte <= high;
}

function codePoint(bytes: readonly number[]): number {
  const [lead = 0, ...rest] = bytes;
  const leadBits = lead & (0xff >> (bytes.length + 1));
  return rest.reduce((bits, byte) => (bits << 6) | (byte & 0x3f), leadBits);
}
