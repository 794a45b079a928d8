import type { Operand, Register, Variable } from "./ptx.ts";
import { floatBits } from "./parse-variable.ts";
import { parseInteger, type TokenReader } from "./token-reader.ts";

/** What names mean where an operand stands. */
export interface OperandScope {
  register(name: string): Register | undefined;
  variable(name: string): Variable | undefined;
  isFunction(name: string): boolean;
  /** Unique form of a label that is visible here; labels may come later in the text. */
  label(name: string): string;
}

/** Parses one operand, pairs `d|p` included. */
export function parseOperand(reader: TokenReader, scope: OperandScope): Operand {
  const first = parseSingle(reader, scope);
  if (!reader.accept("|")) return first;
  return { kind: "pair", first, second: parseSingle(reader, scope) };
}

function parseSingle(reader: TokenReader, scope: OperandScope): Operand {
  const token = reader.peek();
  switch (token.text) {
    case "{":
      return { kind: "vector", items: parseList(reader, scope, "{", "}") };
    case "(":
      return { kind: "list", items: parseList(reader, scope, "(", ")") };
    case "[":
      return parseAddress(reader, scope);
    case "!": {
      reader.next();
      const name = reader.expectKind("word").text;
      const reg = scope.register(name);
      if (reg === undefined) throw reader.error(`${name} is not a register`);
      return { kind: "not", reg };
    }
    case "-":
    case "+":
    case "~": {
      reader.next();
      return negate(parseSingle(reader, scope), token.text);
    }
    default:
  }
  switch (token.kind) {
    case "int":
      return { kind: "int", value: parseInteger(reader.next().text) };
    case "float": {
      const { text } = reader.next();
      const width = /^0[fF]/.test(text) ? 32 : 64;
      return { kind: "float", width, bits: floatBits(text, width) };
    }
    case "word":
      return parseName(reader, scope);
    default:
      throw reader.error("expected an operand");
  }
}

function negate(operand: Operand, sign: string): Operand {
  if (sign === "+") return operand;
  if (operand.kind === "int") {
    return { kind: "int", value: sign === "~" ? ~operand.value : -operand.value };
  }
  if (operand.kind === "float" && sign === "-") {
    return { ...operand, bits: operand.bits ^ (1n << BigInt(operand.width - 1)) };
  }
  throw new Error("only literals take a sign");
}

function parseName(reader: TokenReader, scope: OperandScope): Operand {
  const { text } = reader.next();
  if (text === "_") return { kind: "sink" };
  const reg = scope.register(text);
  if (reg !== undefined) return { kind: "reg", reg };
  const variable = scope.variable(text);
  if (variable !== undefined) return { kind: "symbol", variable, offset: parseOffset(reader) };
  if (scope.isFunction(text)) return { kind: "function", name: text };
  if (text.startsWith("%") || text === "WARP_SZ") return { kind: "special", name: text };
  return { kind: "label", name: scope.label(text) };
}

function parseOffset(reader: TokenReader): number {
  let offset = 0;
  while (reader.at("+") || reader.at("-")) {
    const sign = reader.next().text === "+" ? 1 : -1;
    offset += sign * Number(reader.integer());
  }
  return offset;
}

function parseAddress(reader: TokenReader, scope: OperandScope): Operand {
  reader.expect("[");
  const token = reader.peek();
  let base: Register | Variable | undefined;
  let offset = 0;
  if (token.kind === "int" || token.text === "-") {
    offset = Number(reader.integer());
  } else {
    const name = reader.expectKind("word").text;
    base = scope.register(name) ?? scope.variable(name);
    if (base === undefined) throw reader.error(`${name} is neither a register nor a variable`);
    offset = parseOffset(reader);
  }
  if (!reader.accept(",")) {
    reader.expect("]");
    return { kind: "address", base, offset };
  }
  const coordinates = parseList(reader, scope, "{", "}");
  reader.expect("]");
  return { kind: "address", base, offset, coordinates };
}

function parseList(
  reader: TokenReader,
  scope: OperandScope,
  open: string,
  close: string,
): Operand[] {
  reader.expect(open);
  const items: Operand[] = [];
  while (!reader.accept(close)) {
    items.push(parseOperand(reader, scope));
    if (!reader.at(close)) reader.expect(",");
  }
  return items;
}
