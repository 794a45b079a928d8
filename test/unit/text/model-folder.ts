import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder with these files: bytes and text as they are, anything else as JSON. */
export async function modelFolder(files: Readonly<Record<string, unknown>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "hydrant-text-"));
  for (const [name, content] of Object.entries(files)) {
    const isRaw = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(join(dir, name), isRaw ? content : JSON.stringify(content));
  }
  return dir;
}

/** The byte alphabet of byte-level vocabularies, one token per byte value, in order. */
export function byteAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) ||
      (byte >= 0xa1 && byte <= 0xac) ||
      (byte >= 0xae && byte <= 0xff);
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** A byte-level tokenizer.json: 256 byte tokens, the merges' results, then the special tokens. */
export function byteLevelJson(
  merges: readonly (readonly [string, string])[],
  specials: readonly string[],
  overrides: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const tokens = [...byteAlphabet(), ...merges.map((pair) => pair.join(""))];
  return {
    version: "1.0",
    added_tokens: specials.map((content, i) => ({ id: tokens.length + i, content, special: true })),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
    ...overrides,
  };
}
