import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadTokenizer } from "../../../src/text/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/text/tokenizer.ts";
import { byteLevelJson, modelFolder } from "./model-folder.ts";
import { llamaModel, sentencePieceBytes } from "./small-sentencepiece.ts";

const DEMO = fileURLToPath(new URL("../../../demo/model/base", import.meta.url));

async function load(files: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(await modelFolder(files));
  if (tokenizer === undefined) throw new Error("no tokenizer");
  return tokenizer;
}

const written = (tokenizer: Tokenizer, ids: readonly number[]) =>
  ids.map((id) => tokenizer.idToToken(id));

describe("loadTokenizer", () => {
  it("gives nothing for a folder without a tokenizer", async () => {
    expect(await loadTokenizer(await modelFolder({ "config.json": {} }))).toBeUndefined();
    expect(await loadTokenizer("/no/such/folder")).toBeUndefined();
  });

  it("names the file that is broken", async () => {
    const broken: [string, unknown, string][] = [
      ["tokenizer.json", '{"model": {', "file/bad-json"],
      ["tokenizer.json", "[]", "config/bad-field"],
      ["tokenizer.json", {}, "tokenizer/broken"],
      ["tokenizer.json", { model: { type: "BPE", vocab: { a: 0 } } }, "tokenizer/broken"],
      [
        "tokenizer.json",
        byteLevelJson([], [], { added_tokens: [{ content: "x" }] }),
        "tokenizer/bad-id",
      ],
      [
        "tokenizer.json",
        byteLevelJson([], [], { decoder: { type: "WordPiece" } }),
        "tokenizer/unsupported-decoder",
      ],
      ["tokenizer.model", "not a model", "sentencepiece/broken"],
      ["tokenizer_config.json", { add_bos_token: "yes" }, "config/bad-field"],
      ["added_tokens.json", { "<x>": -1 }, "tokenizer/bad-id"],
    ];
    for (const [name, content, code] of broken) {
      const dir = await modelFolder({ [name]: content });
      await expect(loadTokenizer(dir), name).rejects.toMatchObject({
        name: "HydrantError",
        code,
        path: expect.stringContaining(name),
      });
    }
  });

  it("prefers tokenizer.json to tokenizer.model", async () => {
    const tokenizer = await load({
      "tokenizer.json": byteLevelJson([], []),
      "tokenizer.model": sentencePieceBytes(llamaModel([])),
    });
    expect(tokenizer.vocabSize).toBe(256);
  });
});

describe("a tokenizer from tokenizer.json", () => {
  it("reads the demo model's tokenizer and brings text back", async () => {
    const tokenizer = await loadTokenizer(DEMO);
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, vocabSize: 2048, addsBos: true });
    const text = "The doctor looked at me – and said: “naïve, 日本語!”  \n\n";
    const ids = tokenizer?.encode(text) ?? [];
    expect(ids.length).toBeGreaterThan(10);
    expect(tokenizer?.decode(ids)).toBe(text);
  });

  it("adds exactly one BOS on request, whatever the text and the post-processor do", async () => {
    const tokenizer = await loadTokenizer(DEMO);
    const plain = tokenizer?.encode("a b") ?? [];
    expect(plain[0]).not.toBe(1);
    expect(tokenizer?.encode("a b", { bos: true })).toEqual([1, ...plain]);
    expect(tokenizer?.encode("<s>a b", { bos: true })).toEqual([1, ...plain]);
    expect(tokenizer?.encode("<s>a b")).toEqual([1, ...plain]);
    expect(tokenizer?.encode("", { bos: true })).toEqual([1]);
  });

  it("has no BOS where the configuration says null, and adds none", async () => {
    const tokenizer = await load({
      "tokenizer.json": byteLevelJson([], ["<|end|>"]),
      "tokenizer_config.json": { bos_token: null, eos_token: "<|end|>" },
      "special_tokens_map.json": { bos_token: "<|end|>" },
    });
    expect(tokenizer).toMatchObject({ bosId: undefined, eosId: 256, addsBos: false });
    expect(tokenizer.encode("a", { bos: true })).toEqual([0x61]);
  });

  it("takes special tokens from objects, maps and added_tokens.json", async () => {
    const tokenizer = await load({
      "tokenizer.json": byteLevelJson([], ["<s>"]),
      "tokenizer_config.json": {
        bos_token: { content: "<s>", lstrip: false },
        added_tokens_decoder: { "258": { content: "<tool>", special: false } },
      },
      "special_tokens_map.json": { eos_token: { content: "</s>" } },
      "added_tokens.json": { "</s>": 257 },
    });
    expect(tokenizer).toMatchObject({ bosId: 256, eosId: 257, vocabSize: 259 });
    expect([...tokenizer.specialIds]).toEqual([256, 257]);
    expect(tokenizer.encode("<tool>a</s>")).toEqual([258, 0x61, 257]);
    expect(tokenizer.decode([256, 258, 0x61, 257], { skipSpecial: true })).toBe("<tool>a");
    expect(tokenizer.decode([256, 258, 0x61, 257])).toBe("<s><tool>a</s>");
  });

  it("rejects a special token without an id", async () => {
    const files = {
      "tokenizer.json": byteLevelJson([], []),
      "tokenizer_config.json": { eos_token: "</s>" },
    };
    await expect(load(files)).rejects.toMatchObject({ code: "tokenizer/unknown-token" });
  });

  it("splits by the regular expression of Llama 3 before merging", async () => {
    const pattern =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    const split = {
      type: "Split",
      pattern: { Regex: pattern },
      behavior: "Isolated",
      invert: false,
    };
    const byteLevel = {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: false,
    };
    const merges = [
      ["1", "2"],
      ["12", "3"],
      ["123", "4"],
      ["'", "S"],
    ] as const;
    const tokenizer = await load({
      "tokenizer.json": byteLevelJson(merges, [], {
        pre_tokenizer: { type: "Sequence", pretokenizers: [split, byteLevel] },
      }),
    });
    expect(written(tokenizer, tokenizer.encode("1234"))).toEqual(["123", "4"]);
    expect(written(tokenizer, tokenizer.encode("A'S"))).toEqual(["A", "'S"]);
  });

  it("decodes the SentencePiece kind of decoder, a byte order mark and broken byte runs included", async () => {
    const bytes = Array.from(
      { length: 256 },
      (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`,
    );
    const vocab = Object.fromEntries(
      [...bytes, "▁", "▁a", "<unk>"].map((token, id) => [token, id]),
    );
    const tokenizer = await load({
      "tokenizer.json": {
        added_tokens: [],
        normalizer: {
          type: "Sequence",
          normalizers: [
            { type: "Prepend", prepend: "▁" },
            { type: "Replace", pattern: { String: " " }, content: "▁" },
          ],
        },
        decoder: {
          type: "Sequence",
          decoders: [
            { type: "Replace", pattern: { String: "▁" }, content: " " },
            { type: "ByteFallback" },
            { type: "Fuse" },
            { type: "Strip", content: " ", start: 1, stop: 0 },
          ],
        },
        model: { type: "BPE", vocab, merges: ["▁ a"], unk_token: "<unk>", byte_fallback: true },
      },
    });
    expect(tokenizer.decode([257, 256, 257])).toBe("a  a");
    expect(tokenizer.decode([0xef, 0xbb, 0xbf, 257])).toBe("\uFEFF a");
    expect(tokenizer.decode([0xc3, 0xa9, 0xff, 257])).toBe("é\uFFFD a");
    expect(tokenizer.decode(tokenizer.encode("é a"))).toBe("é a");
  });
});

describe("a tokenizer from tokenizer.model", () => {
  const model = sentencePieceBytes(llamaModel(["▁", "▁a", "a", "b", "▁b"]));

  it("knows Llama's ids and treats special tokens in the text as themselves", async () => {
    const tokenizer = await load({ "tokenizer.model": model, "tokenizer_config.json": {} });
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, vocabSize: 264, addsBos: true });
    expect([...tokenizer.specialIds].sort()).toEqual([0, 1, 2]);
    expect(tokenizer.tokenToId("▁a")).toBe(260);
    expect(written(tokenizer, tokenizer.encode("a b"))).toEqual(["▁a", "▁b"]);
    expect(tokenizer.encode("a", { bos: true })).toEqual([1, 260]);
    expect(tokenizer.encode("<s>a", { bos: true })).toEqual([1, 260]);
    expect(written(tokenizer, tokenizer.encode("<s>a</s>b"))).toEqual(["<s>", "▁a", "</s>", "▁b"]);
  });

  it("alone, takes no special token from a text, as SentencePiece does not, unless asked", async () => {
    const tokenizer = await load({ "tokenizer.model": model });
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, vocabSize: 264, addsBos: true });
    expect(written(tokenizer, tokenizer.encode("<s>a"))).toEqual([
      "▁",
      ..."<s>".split("").map((c) => `<0x${c.charCodeAt(0).toString(16).toUpperCase()}>`),
      "a",
    ]);
    expect(tokenizer.decode(tokenizer.encode("<s>a"))).toBe("<s>a");
    expect(tokenizer.encode("<s>a", { special: true })).toEqual([1, 260]);
  });

  it("gives only the first stretch its leading space when it is not legacy", async () => {
    const tokenizer = await load({
      "tokenizer.model": model,
      "tokenizer_config.json": { legacy: false },
    });
    expect(written(tokenizer, tokenizer.encode("a</s>b"))).toEqual(["▁a", "</s>", "b"]);
    expect(written(tokenizer, tokenizer.encode("<s>a"))).toEqual(["<s>", "a"]);
  });

  it("appends added tokens, and lets them swallow the white space they ask for", async () => {
    const tokenizer = await load({
      "tokenizer.model": model,
      "tokenizer_config.json": {
        added_tokens_decoder: { "265": { content: "<|end|>", special: true, rstrip: true } },
      },
      "added_tokens.json": { "[PAD]": 264 },
    });
    expect(tokenizer.vocabSize).toBe(266);
    expect(tokenizer.encode("[PAD]a<|end|> \n b")).toEqual([264, 260, 265, 263]);
    expect(tokenizer.decode([264, 260, 265], { skipSpecial: true })).toBe("[PAD] a");
  });

  it("drops the leading space of a text but not of a continuation", async () => {
    const tokenizer = await load({ "tokenizer.model": model });
    expect(tokenizer.decode([260, 263])).toBe("a b");
    expect(tokenizer.decode([1, 260], { skipSpecial: true })).toBe("a");
    expect(tokenizer.decode([260, 263], { continuing: true })).toBe(" a b");
  });
});

describe("decode", () => {
  it("refuses ids that the tokenizer does not have, and passes over gaps", async () => {
    const tokenizer = await load({
      "tokenizer.json": byteLevelJson([], []),
      "added_tokens.json": { "<far>": 300 },
    });
    expect(tokenizer.decode([0x61, 280, 0x62])).toBe("ab");
    expect(tokenizer.idToToken(280)).toBeUndefined();
    for (const id of [-1, 301, 1.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(
        /cannot be decoded: the tokenizer knows ids 0 to 300/,
      );
    }
  });

  it("streams, in pushes of any size, exactly what it gives at once; no text is ever taken back", async () => {
    const tokenizers = [
      await loadTokenizer(DEMO),
      await load({
        "tokenizer.model": sentencePieceBytes(llamaModel(["▁", "▁a", "é", "a", "▁▁"])),
      }),
    ];
    for (const tokenizer of tokenizers) {
      if (tokenizer === undefined) throw new Error("no tokenizer");
      // Low ids are the specials and single bytes: broken characters come up all the time.
      const id = fc.oneof(fc.nat(tokenizer.vocabSize - 1), fc.nat(262));
      const options = fc.record({ skipSpecial: fc.boolean(), continuing: fc.boolean() });
      fc.assert(
        fc.property(fc.array(id, { maxLength: 40 }), options, (ids, how) => {
          const stream = tokenizer.decodeStream(how);
          let text = "";
          for (const [i, next] of ids.entries()) {
            text += stream.push(next);
            // At most one unfinished character is held back.
            const soFar = tokenizer.decode(ids.slice(0, i + 1), how);
            expect(soFar.startsWith(text)).toBe(true);
            expect(soFar.slice(text.length)).toMatch(/^\uFFFD{0,3}$/);
          }
          expect(text + stream.flush()).toBe(tokenizer.decode(ids, how));
        }),
        { seed: 21, numRuns: 200 },
      );
    }
  });

  it("brings back any text through the demo model's tokenizer", async () => {
    const tokenizer = await loadTokenizer(DEMO);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => {
        expect(tokenizer?.decode(tokenizer.encode(text))).toBe(text);
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});
