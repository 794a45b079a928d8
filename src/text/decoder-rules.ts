import { HydrantError } from "../util/errors.ts";
import { JsonFields } from "../util/json-fields.ts";
import { SPACE_MARK } from "./sentencepiece-encoder.ts";
import type { TokenText } from "./token-text.ts";
import type { Utf8Replacement } from "./utf8-stream.ts";

/** The decoder of a `tokenizer.json`, reduced to what one token contributes to the text. */
export interface DecoderRules {
  /** Text of an ordinary (not added) token. */
  textOf(token: string): TokenText;
  readonly stripsLeadingSpace: boolean;
  readonly invalidBytes: Utf8Replacement;
}

/**
 * Understands the decoders of Llama-type models: byte level (GPT-2's byte alphabet), and the
 * SentencePiece kind, built of `Replace`, `ByteFallback`, `Fuse`, `Strip` and `Metaspace`.
 *
 * One difference from Hugging Face's `ByteFallback`: in a run of byte tokens that is not valid UTF-8
 * as a whole, the valid characters stay and only the stray bytes become U+FFFD, as in SentencePiece.
 * Hugging Face replaces the whole run, which would change text that has already been streamed out.
 * @throws HydrantError `tokenizer/unsupported-decoder` for anything else.
 */
export function decoderRules(decoder: JsonFields | undefined): DecoderRules {
  const replacements: (readonly [from: string, to: string])[] = [];
  let byteLevel = false;
  let byteFallback = false;
  let stripsLeadingSpace = false;

  const read = (fields: JsonFields): void => {
    const type = fields.optionalString("type");
    switch (type) {
      case "Sequence":
        for (const step of sequence(fields)) read(step);
        return;
      case "ByteLevel":
        byteLevel = true;
        return;
      case "ByteFallback":
        byteFallback = true;
        return;
      case "Fuse":
        return;
      case "Replace": {
        const from = fields.optionalObject("pattern")?.optionalString("String");
        if (from === undefined || from === "")
          throw unsupported(fields, "Replace by regular expression");
        replacements.push([from, fields.optionalString("content") ?? ""]);
        return;
      }
      case "Strip":
        if (fields.optionalString("content") !== " " || fields.optionalInteger("stop") !== 0) {
          throw unsupported(fields, "Strip of anything but a leading space");
        }
        stripsLeadingSpace = fields.optionalInteger("start") === 1;
        return;
      case "Metaspace":
        replacements.push([fields.optionalString("replacement") ?? SPACE_MARK, " "]);
        stripsLeadingSpace =
          fields.optionalString("prepend_scheme") !== "never" &&
          fields.optionalBoolean("add_prefix_space") !== false;
        return;
      default:
        throw unsupported(fields, type ?? "without a type");
    }
  };
  if (decoder !== undefined) read(decoder);

  const asText = (token: string): TokenText => ({
    kind: "text",
    text: replacements.reduce((text, [from, to]) => text.replaceAll(from, to), token),
  });
  if (byteLevel) return { textOf: byteLevelText, stripsLeadingSpace, invalidBytes: "per-subpart" };
  return {
    textOf: byteFallback ? (token) => byteText(token) ?? asText(token) : asText,
    stripsLeadingSpace,
    invalidBytes: "per-byte",
  };
}

function sequence(fields: JsonFields): JsonFields[] {
  const steps = fields.raw("decoders");
  if (!Array.isArray(steps)) throw fields.bad("decoders", "must be a list");
  return steps.map(
    (step: unknown, i) => new JsonFields(step, fields.file, `decoder.decoders.${i}.`),
  );
}

/** A token such as `<0x0A>`. */
function byteText(token: string): TokenText | undefined {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  if (hex === undefined) return undefined;
  return { kind: "bytes", bytes: Uint8Array.of(Number.parseInt(hex, 16)) };
}

/**
 * GPT-2's byte alphabet: printable Latin-1 characters stand for themselves, the other 68 byte
 * values for U+0100 onwards, in order.
 */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) ||
    (byte >= 0xa1 && byte <= 0xac) ||
    (byte >= 0xae && byte <= 0xff);
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    map.set(String.fromCharCode(printable(byte) ? byte : next++), byte);
  }
  return map;
})();

function byteLevelText(token: string): TokenText {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTE_OF_CHARACTER.get(char);
    // A token with any foreign character is taken literally, as Hugging Face does.
    if (byte === undefined) return { kind: "text", text: token };
    bytes.push(byte);
  }
  return { kind: "bytes", bytes: Uint8Array.from(bytes) };
}

function unsupported(fields: JsonFields, what: string): HydrantError {
  return new HydrantError("tokenizer/unsupported-decoder", `Decoder ${what} is not supported.`, {
    path: fields.file,
    hint: "Supported are ByteLevel and the SentencePiece kind (Replace, ByteFallback, Fuse, Strip, Metaspace).",
  });
}
