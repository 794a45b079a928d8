import { HydrantError } from "../../../src/util/errors.ts";
import type { Token } from "./lexer.ts";

/** A cursor over tokens with the expectations every grammar rule is made of. */
export class TokenReader {
  readonly path: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[], path: string) {
    this.#tokens = tokens;
    this.path = path;
  }

  peek(ahead = 0): Token {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
    if (token === undefined) throw new Error("a token list ends with its end token");
    return token;
  }

  next(): Token {
    const token = this.peek();
    this.#at++;
    return token;
  }

  at(text: string): boolean {
    const token = this.peek();
    return token.text === text && token.kind !== "string";
  }

  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.#at++;
    return true;
  }

  expect(text: string): Token {
    if (!this.at(text)) throw this.error(`expected ${JSON.stringify(text)}`);
    return this.next();
  }

  expectKind(kind: Token["kind"]): Token {
    if (this.peek().kind !== kind) throw this.error(`expected a ${kind}`);
    return this.next();
  }

  /** A decimal, hexadecimal or binary integer, with its sign. */
  integer(): bigint {
    const negative = this.accept("-");
    const value = parseInteger(this.expectKind("int").text);
    return negative ? -value : value;
  }

  /** Skips a bracketed group, whose opening token is next. */
  skipGroup(open: string, close: string): void {
    this.expect(open);
    for (let depth = 1; depth > 0; ) {
      const token = this.next();
      if (token.kind === "end") throw this.error(`${JSON.stringify(close)} is missing`);
      if (token.text === open) depth++;
      else if (token.text === close) depth--;
    }
  }

  error(what: string): HydrantError {
    const token = this.peek();
    const found = token.kind === "end" ? "the end" : JSON.stringify(token.text);
    return new HydrantError(
      "emulator/ptx-syntax",
      `The PTX does not parse: ${what}, found ${found}.`,
      { path: `${this.path}:${token.line}` },
    );
  }
}

export function parseInteger(text: string): bigint {
  return BigInt(text.endsWith("U") ? text.slice(0, -1) : text);
}
