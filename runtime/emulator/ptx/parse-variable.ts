import type { TokenReader } from "./token-reader.ts";
import { typeBytes, type Variable } from "./ptx.ts";

type Space = Variable["space"];

/**
 * Parses what follows a state space directive: `.align 4 .b8 name[64] = {…}, other;`. The closing
 * `;` is consumed by the caller, because parameter lists use `,` and `)` instead.
 */
export function parseVariable(
  reader: TokenReader,
  space: Space,
  extern: boolean,
): Variable & { readonly count: number | undefined } {
  let align: number | undefined;
  let vector = 1;
  let elementBytes: number | undefined;
  while (reader.peek().kind === "directive") {
    const directive = reader.next().text.slice(1);
    if (directive === "align") align = Number(reader.integer());
    else if (directive === "v2") vector = 2;
    else if (directive === "v4") vector = 4;
    else if (directive === "ptr" || directive === space || directive === "global") continue;
    else {
      const bytes = typeBytes(directive);
      if (bytes === undefined) {
        throw reader.error(`.${directive} is not a type the emulator knows`);
      }
      elementBytes = bytes * vector;
    }
  }
  if (elementBytes === undefined) throw reader.error("a variable needs a type");
  const name = reader.expectKind("word").text;
  // `.reg`-like families `name<5>` exist for registers only.
  let count: number | undefined;
  let elements = 1;
  while (reader.accept("[")) {
    if (reader.at("]")) elements = 0;
    else elements *= Number(reader.integer());
    reader.expect("]");
  }
  const size = elements * elementBytes;
  if (reader.accept("<")) {
    count = Number(reader.integer());
    reader.expect(">");
  }
  const base = { name, space, extern, align: align ?? elementBytes, size, count };
  if (!reader.accept("=")) return base;
  return { ...base, init: parseInitializer(reader, elementBytes / vector, size) };
}

function parseInitializer(reader: TokenReader, elementBytes: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const element = (): void => {
    if (reader.accept("{")) {
      while (!reader.accept("}")) {
        element();
        reader.accept(",");
      }
      return;
    }
    const token = reader.peek();
    if (token.kind === "word") {
      throw reader.error("addresses in initialisers are not supported by the emulator");
    }
    let value: bigint;
    if (token.kind === "float") value = floatBits(reader.next().text, elementBytes === 4 ? 32 : 64);
    else value = reader.integer();
    if (at + elementBytes > size) throw reader.error("the initialiser is longer than its variable");
    for (let byte = 0; byte < elementBytes; byte++) {
      view.setUint8(at + byte, Number((value >> BigInt(8 * byte)) & 0xffn));
    }
    at += elementBytes;
  };
  element();
  return bytes;
}

const scratch = new DataView(new ArrayBuffer(8));

/** The bit pattern of a float literal, as wide as asked; hexadecimal ones keep their own width. */
export function floatBits(text: string, width: 32 | 64): bigint {
  if (/^0[fFdD]/.test(text)) return BigInt(`0x${text.slice(2)}`);
  if (width === 32) {
    scratch.setFloat32(0, Number(text));
    return BigInt(scratch.getUint32(0));
  }
  scratch.setFloat64(0, Number(text));
  return scratch.getBigUint64(0);
}
