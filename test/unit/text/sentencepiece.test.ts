import { describe, expect, it } from "vitest";
import { parseSentencePieceModel } from "../../../src/text/sentencepiece.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { KIND, llamaModel, sentencePieceBytes } from "./small-sentencepiece.ts";

const parse = (bytes: Uint8Array) => parseSentencePieceModel(bytes, "dir/tokenizer.model");
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    if (error instanceof HydrantError) return error.code;
    throw error;
  }
  return undefined;
};

describe("parseSentencePieceModel", () => {
  it("reads pieces, kinds, scores and switches, and skips fields it does not know", () => {
    const model = parse(sentencePieceBytes(llamaModel(["▁a", "b"])));
    expect(model.type).toBe("bpe");
    expect(model.pieces).toHaveLength(261);
    expect(model.pieces[0]).toEqual({ text: "<unk>", score: 0, kind: "unknown" });
    expect(model.pieces[13]).toEqual({ text: "<0x0A>", score: 0, kind: "byte" });
    expect(model.pieces[260]).toEqual({ text: "b", score: -1, kind: "normal" });
    expect(model).toMatchObject({ unkId: 0, byteFallback: true, addDummyPrefix: true });
    expect(model).toMatchObject({ bosPiece: "<s>", removeExtraWhitespaces: false });
  });

  it("reads a file that lies inside a larger buffer", () => {
    const bytes = sentencePieceBytes(llamaModel(["x"]));
    const shared = new Uint8Array(bytes.length + 7);
    shared.set(bytes, 7);
    expect(parse(new Uint8Array(shared.subarray(7))).pieces[259]?.text).toBe("x");
  });

  it("never fails with anything but a named error, wherever the file is cut", () => {
    const bytes = sentencePieceBytes({ ...llamaModel([]), byteFallback: false });
    const codes = new Set<string | undefined>();
    for (let length = 0; length < bytes.length; length++) {
      codes.add(codeOf(() => parse(bytes.slice(0, length))));
    }
    codes.delete(undefined); // A cut between two messages leaves a smaller, valid model.
    expect([...codes].sort()).toEqual(["sentencepiece/broken"]);
  });

  it("rejects what is no model, naming the file", () => {
    const pointer = new TextEncoder().encode(
      "version https://git-lfs.github.com/spec/v1\noid sha256:0",
    );
    expect(() => parse(pointer)).toThrow(/not a SentencePiece model/);
    expect(codeOf(() => parse(new Uint8Array(0)))).toBeDefined();
    expect(codeOf(() => parse(Uint8Array.of(0xff, 0xff, 0xff)))).toBe("sentencepiece/broken");
  });

  it("rejects byte fallback without all byte pieces, and a model without an unknown piece", () => {
    const pieces = llamaModel(["a"]).pieces;
    expect(() =>
      parse(sentencePieceBytes({ pieces: pieces.filter(([t]) => t !== "<0x7F>") })),
    ).toThrow(/<0x7F> is missing/);
    expect(() => parse(sentencePieceBytes({ pieces: pieces.slice(1) }))).toThrow(
      /no unknown piece/,
    );
  });

  it("rejects a piece of a kind or a score that does not exist", () => {
    const unknown = [["<unk>", 0, KIND.unknown]] as const;
    expect(codeOf(() => parse(sentencePieceBytes({ pieces: [...unknown, ["a", 0, 9]] })))).toBe(
      "sentencepiece/broken",
    );
    expect(
      codeOf(() => parse(sentencePieceBytes({ pieces: [...unknown, ["a", Number.NaN]] }))),
    ).toBe("sentencepiece/broken");
  });

  it("refuses word models, char models and character maps, saying what helps", () => {
    const { pieces } = llamaModel([]);
    for (const model of [
      { pieces, type: 3 },
      { pieces, type: 4 },
      { pieces, charsmap: Uint8Array.of(1, 2) },
    ]) {
      expect(codeOf(() => parse(sentencePieceBytes(model)))).toBe("sentencepiece/unsupported");
    }
    expect(() => parse(sentencePieceBytes({ pieces, type: 3 }))).toThrow(/models of type word/);
  });
});
