import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  parseSentencePieceModel,
  type SentencePieceModel,
} from "../../../src/text/sentencepiece.ts";
import { SentencePieceEncoder } from "../../../src/text/sentencepiece-encoder.ts";
import { SentencePieceTokenizer } from "../../../src/text/sentencepiece-tokenizer.ts";
import {
  KIND,
  LLAMA_HEAD,
  llamaModel,
  type SmallModel,
  sentencePieceBytes,
} from "./small-sentencepiece.ts";

const modelOf = (small: SmallModel) => parseSentencePieceModel(sentencePieceBytes(small), "test");
const noSpecials = { bos: undefined, eos: undefined, special: new Set<string>(), added: [] };
const plain = { ...noSpecials, addBos: undefined, legacy: true, bare: true };

/** Pieces of a text, written out. */
function pieces(model: SentencePieceModel, text: string, dummyPrefix?: boolean): string[] {
  const ids = new SentencePieceEncoder(model).encode(text, dummyPrefix);
  return ids.map((id) => model.pieces[id]?.text ?? "?");
}

/** Merges the best pair of all, the leftmost of equals, until none is left: the definition. */
function mergeByDefinition(symbols: string[], scores: ReadonlyMap<string, number>): string[] {
  for (;;) {
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const score = scores.get(`${symbols[i]}${symbols[i + 1]}`);
      if (score !== undefined && score > bestScore) [best, bestScore] = [i, score];
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, `${symbols[best]}${symbols[best + 1]}`);
  }
}

const T1 = new URL("../../../../shared/golden/T1-sentencepiece/", import.meta.url);
const hasT1 = existsSync(T1);

describe("SentencePieceEncoder, BPE", () => {
  it.skipIf(!hasT1)(
    "gives SentencePiece's own ids and text for Llama 2's model (needs ../shared/golden)",
    () => {
      const bytes = new Uint8Array(readFileSync(new URL("tokenizer.model", T1)));
      const model = parseSentencePieceModel(bytes, "tokenizer.model");
      const encoder = new SentencePieceEncoder(model);
      const tokenizer = new SentencePieceTokenizer(model, plain, "tokenizer.model");
      const golden: { cases: { text: string; ids: number[]; decoded: string }[] } = JSON.parse(
        readFileSync(new URL("encodings.json", T1), "utf8"),
      );
      expect(golden.cases.length).toBeGreaterThan(50);
      for (const { text, ids, decoded } of golden.cases) {
        expect(encoder.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      }
    },
  );

  it("merges the highest score first, adds the leading space and spells the rest in bytes", () => {
    const model = modelOf(llamaModel(["he", "ll", "hell", "▁hell", "▁", "h", "e", "l", "o"]));
    expect(pieces(model, "hello")).toEqual(["▁hell", "o"]);
    expect(pieces(model, "hello", false)).toEqual(["hell", "o"]);
    expect(pieces(model, "é")).toEqual(["▁", "<0xC3>", "<0xA9>"]);
    expect(pieces(model, "")).toEqual([]);
    expect(pieces(model, " ")).toEqual(["▁", "▁"]);
  });

  it("does what the definition says for any text and any scores, ties included", () => {
    const alphabet = ["a", "b", "▁"];
    const words = fc.uniqueArray(
      fc.array(fc.constantFrom(...alphabet), { minLength: 2, maxLength: 5 }).map((c) => c.join("")),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(
        words.chain((w) =>
          fc.tuple(
            fc.constant(w),
            fc.array(fc.nat(4), { minLength: w.length, maxLength: w.length }),
          ),
        ),
        fc.string({ unit: fc.constantFrom("a", "b", " "), maxLength: 30 }),
        ([merged, ranks], text) => {
          const scored = [
            ...alphabet.map((char) => [char, -100] as const),
            ...merged.map((word, i) => [word, -(ranks[i] ?? 0)] as const),
          ];
          const model = modelOf({ pieces: [...LLAMA_HEAD, ...scored] });
          const symbols = text === "" ? [] : Array.from(`▁${text.replaceAll(" ", "▁")}`);
          expect(pieces(model, text)).toEqual(mergeByDefinition(symbols, new Map(scored)));
        },
      ),
      { seed: 5, numRuns: 300 },
    );
  });

  it("takes an unused piece apart again but lets it take part in merging", () => {
    const head: SmallModel["pieces"] = [...LLAMA_HEAD, ["a", -9], ["b", -9], ["c", -9], ["▁", -9]];
    const model = modelOf({ pieces: [...head, ["ab", -1, KIND.unused], ["abc", -2]] });
    expect(pieces(model, "abc")).toEqual(["▁", "abc"]);
    expect(pieces(model, "ab")).toEqual(["▁", "a", "b"]);
  });

  it("keeps user-defined pieces whole", () => {
    const head: SmallModel["pieces"] = [...LLAMA_HEAD, ["a", -9], ["b", -9], ["ab", -1], ["▁", -9]];
    const model = modelOf({ pieces: [...head, ["ba", 0, KIND.userDefined]] });
    expect(pieces(model, "aba")).toEqual(["▁", "a", "ba"]);
  });

  it("makes one unknown token of a run of unknown characters when there are no byte pieces", () => {
    const model = modelOf({
      pieces: [
        ["<unk>", 0, KIND.unknown],
        ["▁", 0],
        ["a", 0],
      ],
      byteFallback: false,
    });
    expect(pieces(model, "xyaz")).toEqual(["▁", "<unk>", "a", "<unk>"]);
  });

  it("collapses spaces where the normalizer says so", () => {
    const model = modelOf({ ...llamaModel(["▁", "a"]), removeExtraWhitespaces: true });
    expect(pieces(model, "  a   a ")).toEqual(["▁", "a", "▁", "a"]);
    expect(pieces(model, "   ")).toEqual([]);
  });

  it("brings back any text, whatever the characters", () => {
    const model = modelOf(llamaModel(["▁", "th", "▁th", "e", "▁the", "▁▁"]));
    const tokenizer = new SentencePieceTokenizer(model, plain, "test");
    const encoder = new SentencePieceEncoder(model);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        const expected = text.toWellFormed().replaceAll("▁", " ");
        expect(tokenizer.decode(encoder.encode(text))).toBe(expected);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  it("encodes 100,000 characters without a pause", () => {
    const model = modelOf(llamaModel(["▁", "th", "▁th", "e", "▁the", "a", "aa", "aaaa", "t", "h"]));
    const encoder = new SentencePieceEncoder(model);
    const start = performance.now();
    expect(encoder.encode("the aaaa".repeat(12_500)).length).toBeGreaterThan(10_000);
    // A quadratic merge would take minutes.
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe("SentencePieceEncoder, unigram", () => {
  it("finds the segmentation with the best total score", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "▁"), minLength: 1, maxLength: 4 });
    const score = fc.integer({ min: -12, max: -1 });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(word, score), { maxLength: 15, selector: ([text]) => text }),
        fc.string({ unit: fc.constantFrom("a", "b", " "), minLength: 1, maxLength: 9 }),
        (scored, text) => {
          const model = modelOf({ pieces: [...LLAMA_HEAD, ...scored], type: 1 });
          const scores = new Map(scored);
          const unknown = Math.min(0, ...scores.values()) - 10;
          const total = (parts: readonly string[]) =>
            parts.reduce((sum, part) => sum + (scores.get(part) ?? unknown), 0);
          const best = (rest: string): string[] => {
            if (rest === "") return [];
            const options = [...scores.keys()].filter((piece) => rest.startsWith(piece));
            const first = rest.slice(0, 1);
            if (!scores.has(first)) options.push(first);
            const all = options.map((piece) => [piece, ...best(rest.slice(piece.length))]);
            return all.reduce((a, b) => (total(b) > total(a) ? b : a));
          };
          const normalized = `▁${text.replaceAll(" ", "▁")}`;
          const found = pieces(model, text).filter((piece) => !piece.startsWith("<0x"));
          const expected = best(normalized);
          const known = expected.filter((piece) => scores.has(piece));
          const unknownCount = expected.length - known.length;
          expect(total(found) + unknownCount * unknown).toBe(total(expected));
        },
      ),
      { seed: 8, numRuns: 300 },
    );
  });

  it("spells unknown characters in bytes", () => {
    const model = modelOf({ pieces: [...LLAMA_HEAD, ["▁a", -1], ["a", -2]], type: 1 });
    expect(pieces(model, "aé a")).toEqual(["▁a", "<0xC3>", "<0xA9>", "▁a"]);
  });
});
