import { HydrantError } from "../../../src/util/errors.ts";

export type TokenKind = "word" | "directive" | "int" | "float" | "string" | "punct" | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Line of the PTX text, from 1. */
  readonly line: number;
}

// Opcodes and special registers keep their dotted suffixes in one word: `ld.global.v4.u32`,
// `cp.async.bulk.shared::cluster.global`, `%tid.x`.
const TOKEN =
  /(?<skip>[ \t\r]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<newline>\n)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<float>0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)|(?<int>0[xX][0-9a-fA-F]+U?|0[bB][01]+U?|\d+U?)|(?<directive>\.[A-Za-z_]\w*)|(?<word>[A-Za-z_$%][\w$]*(?:(?:\.|::)\w+)*)|(?<punct>[{}[\]()<>,;:@!|+\-=*&~])/y;

/** Splits PTX text into tokens, the last of kind `end`. Throws `emulator/ptx-syntax`. */
export function tokenize(text: string, path = "PTX"): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  let line = 1;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const groups = pattern.exec(text)?.groups;
    if (groups === undefined) {
      throw new HydrantError(
        "emulator/ptx-syntax",
        `Line ${line} of the PTX has a character that starts no token: ${JSON.stringify(text.slice(at, at + 12))}.`,
        { path: `${path}:${line}` },
      );
    }
    if (groups.newline !== undefined) line++;
    else if (groups.skip !== undefined) line += countNewlines(groups.skip);
    else {
      const kind = KINDS.find((name) => groups[name] !== undefined);
      if (kind !== undefined) tokens.push({ kind, text: groups[kind] ?? "", line });
    }
  }
  tokens.push({ kind: "end", text: "", line });
  return tokens;
}

const KINDS = ["word", "punct", "int", "float", "directive", "string"] as const;

function countNewlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
