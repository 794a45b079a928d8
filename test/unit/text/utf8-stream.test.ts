import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Utf8Stream, type Utf8Replacement } from "../../../src/text/utf8-stream.ts";

const run = (replacement: Utf8Replacement, chunks: readonly Uint8Array[]): string => {
  const stream = new Utf8Stream(replacement);
  return chunks.map((chunk) => stream.push(chunk)).join("") + stream.flush();
};

/** Bytes that are near UTF-8: whole characters, leads, continuations, limits of table 3-7. */
const nearUtf8 = fc
  .array(
    fc.oneof(
      fc
        .string({ unit: "binary", maxLength: 3 })
        .map((text) => [...new TextEncoder().encode(text)]),
      fc.constantFrom(0xc0, 0xc1, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff).map((b) => [b]),
      fc.constantFrom(0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xbb).map((b) => [b]),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Uint8Array.from(parts.flat()));

describe("Utf8Stream", () => {
  it("replaces invalid bytes as the WHATWG decoder does, however the bytes are cut", () => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    fc.assert(
      fc.property(nearUtf8, fc.integer({ min: 1, max: 5 }), (bytes, size) => {
        const chunks = [];
        for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.subarray(i, i + size));
        expect(run("per-subpart", chunks)).toBe(decoder.decode(bytes));
      }),
      { seed: 11, numRuns: 2000 },
    );
  });

  it("replaces every stray byte on its own for SentencePiece", () => {
    expect(run("per-byte", [Uint8Array.of(0xe2, 0x82, 0x41)])).toBe("\uFFFD\uFFFDA");
    expect(run("per-byte", [Uint8Array.of(0xf0, 0x9f, 0x98)])).toBe("\uFFFD\uFFFD\uFFFD");
    expect(run("per-subpart", [Uint8Array.of(0xf0, 0x9f, 0x98)])).toBe("\uFFFD");
  });

  it("returns a character as soon as its last byte is there, and not before", () => {
    const stream = new Utf8Stream("per-byte");
    const pushed = [0xf0, 0x9f, 0x98, 0x80, 0x21].map((byte) => stream.push([byte]));
    expect(pushed).toEqual(["", "", "", "😀", "!"]);
    expect(stream.flush()).toBe("");
  });

  it("keeps a byte order mark", () => {
    expect(run("per-subpart", [Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)])).toBe("\uFEFFa");
  });
});
