/** Thrown by the scanner with the character offset it stopped at. */
export class JsonSyntaxError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const maxDepth = 64;

/**
 * Reads JSON token by token. `JSON.parse` drops repeated names and rounds large integers, both of
 * which would let a broken header pass; and nothing here recurses deeper than 64.
 */
export class JsonScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get offset(): number {
    return this.#at;
  }

  /** Reads an object, calling `member` at each value with its name; the callee consumes the value. */
  object(member: (name: string) => void): void {
    this.expect("{");
    if (this.accept("}")) return;
    do {
      const name = this.string();
      this.expect(":");
      member(name);
    } while (this.accept(","));
    this.expect("}");
  }

  /** Reads a list, calling `element` at each value; the callee consumes it. */
  list(element: () => void): void {
    this.expect("[");
    if (this.accept("]")) return;
    do element();
    while (this.accept(","));
    this.expect("]");
  }

  string(): string {
    this.expect('"');
    const start = this.#at - 1;
    const text = this.#text;
    for (; this.#at < text.length; this.#at++) {
      const char = text.charCodeAt(this.#at);
      if (char === 0x22) {
        this.#at++;
        return this.#unescape(text.slice(start, this.#at), start);
      }
      if (char === 0x5c) this.#at++;
    }
    throw new JsonSyntaxError("a string has no end", start);
  }

  /** A non-negative integer without fraction or exponent, exact. */
  unsigned(): number {
    this.#space();
    const start = this.#at;
    const digits = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
    digits.lastIndex = start;
    const found = digits.exec(this.#text)?.[0];
    const value = Number(found);
    if (found === undefined || !Number.isSafeInteger(value)) {
      throw new JsonSyntaxError("expected a non-negative integer", start);
    }
    this.#at += found.length;
    return value;
  }

  /** Reads past any value. */
  skip(depth = 0): void {
    if (depth > maxDepth) throw new JsonSyntaxError("values are nested too deep", this.#at);
    this.#space();
    const char = this.#text[this.#at];
    if (char === "{") this.object(() => this.skip(depth + 1));
    else if (char === "[") this.list(() => this.skip(depth + 1));
    else if (char === '"') this.string();
    else this.#literal();
  }

  /** Only white space may be left. */
  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw new JsonSyntaxError("text follows the value", this.#at);
  }

  expect(char: string): void {
    if (!this.accept(char)) throw new JsonSyntaxError(`expected ${char}`, this.#at);
  }

  accept(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #literal(): void {
    const literal = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    literal.lastIndex = this.#at;
    const found = literal.exec(this.#text)?.[0];
    if (found === undefined) throw new JsonSyntaxError("expected a value", this.#at);
    this.#at += found.length;
  }

  #unescape(quoted: string, start: number): string {
    let value: unknown;
    try {
      value = JSON.parse(quoted);
    } catch {
      value = undefined;
    }
    if (typeof value === "string" && value.isWellFormed()) return value;
    throw new JsonSyntaxError("a string has a bad escape or a control character", start);
  }

  #space(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text.charCodeAt(this.#at);
      if (char !== 0x20 && char !== 0x0a && char !== 0x0d && char !== 0x09) return;
    }
  }
}
