import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { exportGguf, type GgufWeights } from "../../../bench/gguf/export-gguf.ts";
import { decodeFloats } from "../../../src/ir/float-formats.ts";
import { openSafetensors } from "../../../src/weights/safetensors.ts";
import { type GgufFile, readGguf } from "./gguf-reader.ts";

const demo = fileURLToPath(new URL("../../../demo/model/base/", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "hydrant-gguf-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function exported(weights: GgufWeights): Promise<{ bytes: Uint8Array; file: GgufFile }> {
  const path = join(folder, `demo-${weights}.gguf`);
  await exportGguf(demo, path, weights);
  const bytes = await readFile(path);
  return { bytes, file: readGguf(bytes) };
}

async function original(name: string): Promise<Uint8Array> {
  const weights = await openSafetensors(join(demo, "model.safetensors"));
  try {
    const bytes = new Uint8Array(weights.tensors.get(name)?.byteLength ?? 0);
    await weights.read(name, bytes);
    return bytes;
  } finally {
    await weights.close();
  }
}

function dataOf({ bytes, file }: Awaited<ReturnType<typeof exported>>, name: string, size: number) {
  const { offset = 0, extents = [] } = file.tensors.get(name) ?? {};
  const begin = file.dataStart + offset;
  return bytes.subarray(begin, begin + extents.reduce((a, b) => a * b, size));
}

/** The demo model's folder with some files replaced. */
async function changed(files: Readonly<Record<string, object>>): Promise<string> {
  const copy = await mkdtemp(join(folder, "model-"));
  await cp(demo, copy, { recursive: true });
  for (const [name, json] of Object.entries(files)) {
    const path = join(copy, name);
    const old = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...old, ...json }));
  }
  return copy;
}

describe("exporting a Llama as GGUF", () => {
  it("describes the model and its tokenizer as llama.cpp expects them", async () => {
    const { file } = await exported("bf16");
    const metadata = Object.fromEntries(file.metadata);
    expect(metadata).toMatchObject({
      "general.architecture": "llama",
      "general.file_type": 32,
      "llama.vocab_size": 2048,
      "llama.context_length": 1024,
      "llama.embedding_length": 256,
      "llama.block_count": 5,
      "llama.feed_forward_length": 704,
      "llama.attention.head_count": 4,
      "llama.attention.head_count_kv": 2,
      "llama.attention.key_length": 64,
      "llama.attention.layer_norm_rms_epsilon": Math.fround(1e-5),
      "llama.rope.dimension_count": 64,
      "llama.rope.freq_base": 10000,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.bos_token_id": 1,
      "tokenizer.ggml.eos_token_id": 2,
      "tokenizer.ggml.unknown_token_id": 0,
      "tokenizer.ggml.add_bos_token": true,
      "tokenizer.ggml.add_eos_token": false,
    });
    const tokens = file.metadata.get("tokenizer.ggml.tokens") as string[];
    const types = file.metadata.get("tokenizer.ggml.token_type") as number[];
    const merges = file.metadata.get("tokenizer.ggml.merges") as string[];
    expect(tokens.slice(0, 5)).toEqual(["<unk>", "<s>", "</s>", "!", '"']);
    expect(types.slice(0, 5)).toEqual([2, 3, 3, 1, 1]);
    expect([tokens.length, types.length]).toEqual([2048, 2048]);
    expect(merges.slice(0, 3)).toEqual(["h e", "Ġ t", "Ġ a"]);
  });

  it("writes the tensors in execution order, the file's end included", async () => {
    const { file, bytes } = await exported("bf16");
    const names = [...file.tensors.keys()];
    expect(names).toHaveLength(5 * 9 + 3);
    expect(names.slice(0, 4)).toEqual([
      "token_embd.weight",
      "blk.0.attn_norm.weight",
      "blk.0.attn_q.weight",
      "blk.0.attn_k.weight",
    ]);
    expect(names.slice(-2)).toEqual(["output_norm.weight", "output.weight"]);
    expect(file.tensors.get("blk.4.ffn_down.weight")?.extents).toEqual([704, 256]);
    const last = file.tensors.get("output.weight");
    expect(bytes.length).toBe(file.dataStart + (last?.offset ?? 0) + 2 * 256 * 2048);
  });

  it("copies bf16 matrices bit by bit and widens norms to f32", async () => {
    const result = await exported("bf16");
    const down = await original("model.layers.2.mlp.down_proj.weight");
    expect(Buffer.compare(dataOf(result, "blk.2.ffn_down.weight", 2), down)).toBe(0);
    const norm = await original("model.layers.1.input_layernorm.weight");
    expect(result.file.tensors.get("blk.1.attn_norm.weight")?.type).toBe(0);
    expect(decodeFloats("f32", dataOf(result, "blk.1.attn_norm.weight", 4))).toEqual(
      decodeFloats("bf16", norm),
    );
  });

  it("reorders the rows of queries and keys, not those of values", async () => {
    const result = await exported("bf16");
    const row = (bytes: Uint8Array, index: number) =>
      bytes.subarray(512 * index, 512 * (index + 1));
    for (const [name, from] of [
      ["attn_q", "q_proj"],
      ["attn_k", "k_proj"],
    ]) {
      const out = dataOf(result, `blk.3.${name}.weight`, 2);
      const source = await original(`model.layers.3.self_attn.${from}.weight`);
      // Second head of 64: its rows 5 and 5 + 32 lie side by side.
      expect(Buffer.compare(row(out, 64 + 10), row(source, 64 + 5))).toBe(0);
      expect(Buffer.compare(row(out, 64 + 11), row(source, 64 + 37))).toBe(0);
    }
    const values = await original("model.layers.3.self_attn.v_proj.weight");
    expect(Buffer.compare(dataOf(result, "blk.3.attn_v.weight", 2), values)).toBe(0);
  });

  it("rounds to the nearest f16 in an f16 file", async () => {
    const result = await exported("f16");
    expect(result.file.metadata.get("general.file_type")).toBe(1);
    const values = decodeFloats("f16", dataOf(result, "output.weight", 2));
    const source = decodeFloats("bf16", await original("lm_head.weight"));
    // bf16 has fewer bits than f16: only what is below f16's subnormals is rounded at all.
    const worst = source.reduce((most, x, i) => Math.max(most, Math.abs(x - (values[i] ?? 9))), 0);
    expect(worst).toBeLessThanOrEqual(2 ** -25);
  });

  it("refuses what it cannot express, and leaves no file behind", async () => {
    const out = join(folder, "refused.gguf");
    const cases = [
      { "config.json": { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] } },
      { "config.json": { attention_bias: true } },
      { "tokenizer.json": { normalizer: { type: "NFC" } } },
      { "tokenizer.json": { pre_tokenizer: { type: "Metaspace" } } },
    ];
    for (const files of cases) {
      const model = await changed(files);
      await expect(exportGguf(model, out, "bf16")).rejects.toMatchObject({
        code: "gguf/unsupported",
      });
    }
    await expect(readFile(out)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("refuses a weight beyond f16, naming the tensor", async () => {
    const model = await changed({});
    const path = join(model, "model.safetensors");
    const bytes = await readFile(path);
    // The file's first tensor is lm_head.weight; a million in bf16.
    bytes.writeUInt16LE(0x4974, 8 + Number(bytes.readBigUInt64LE(0)));
    await writeFile(path, bytes);
    await expect(exportGguf(model, join(folder, "large.gguf"), "f16")).rejects.toMatchObject({
      code: "gguf/range",
      path: expect.stringContaining("lm_head.weight"),
    });
  });
});
