import type { ModelConfig } from "../../src/models/config.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { JsonFields } from "../../src/util/json-fields.ts";
import type { GgufValue } from "./gguf-layout.ts";

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });
const bool = (value: boolean): GgufValue => ({ type: "bool", value });
const string = (value: string): GgufValue => ({ type: "string", value });

/** llama.cpp's numbers for "most tensors have this type". */
const fileTypes = { f16: 1, bf16: 32 } as const;

/** llama.cpp's kinds of tokens. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;

/** The hyperparameters, under the keys of llama.cpp's `llama` architecture. */
export function modelMetadata(
  config: ModelConfig,
  name: string,
  weights: "bf16" | "f16",
): Map<string, GgufValue> {
  const { rope, headDim } = config;
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", string("llama")],
    ["general.name", string(name)],
    ["general.file_type", u32(fileTypes[weights])],
    ["llama.vocab_size", u32(config.vocabSize)],
    ["llama.context_length", u32(config.maxPositions)],
    ["llama.embedding_length", u32(config.hiddenSize)],
    ["llama.block_count", u32(config.layers)],
    ["llama.feed_forward_length", u32(config.intermediateSize)],
    ["llama.attention.head_count", u32(config.heads)],
    ["llama.attention.head_count_kv", u32(config.kvHeads)],
    ["llama.attention.key_length", u32(headDim)],
    ["llama.attention.value_length", u32(headDim)],
    ["llama.attention.layer_norm_rms_epsilon", f32(config.rmsNormEps)],
    ["llama.rope.dimension_count", u32(headDim)],
    ["llama.rope.freq_base", f32(rope.theta)],
  ]);
  if (rope.scaling.type === "linear") {
    metadata.set("llama.rope.scaling.type", string("linear"));
    metadata.set("llama.rope.scaling.factor", f32(rope.scaling.factor));
  }
  return metadata;
}

/**
 * A byte-level BPE tokenizer, from the parsed tokenizer.json and tokenizer_config.json.
 * @throws HydrantError `gguf/unsupported` for any other kind of tokenizer.
 */
export function tokenizerMetadata(
  tokenizer: JsonFields,
  settings: JsonFields,
  config: ModelConfig,
): Map<string, GgufValue> {
  const model = tokenizer.optionalObject("model");
  const preTokenizer = tokenizer.optionalObject("pre_tokenizer");
  if (
    model?.optionalString("type") !== "BPE" ||
    preTokenizer?.optionalString("type") !== "ByteLevel" ||
    preTokenizer.optionalBoolean("use_regex") === false ||
    tokenizer.has("normalizer")
  ) {
    throw new HydrantError(
      "gguf/unsupported",
      "The tokenizer is not a plain byte-level BPE with GPT-2's word pattern.",
      { path: tokenizer.file },
    );
  }

  const tokens = new Array<string | undefined>(config.vocabSize).fill(undefined);
  const types = new Array<number>(config.vocabSize).fill(tokenTypes.unused);
  const place = (content: string, id: unknown, type: number) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= config.vocabSize) {
      throw new HydrantError("gguf/tokenizer", `Token ${content} has the id ${String(id)}.`, {
        path: tokenizer.file,
      });
    }
    tokens[id] = content;
    types[id] = type;
  };
  const vocab = model.optionalObject("vocab");
  for (const token of vocab?.names() ?? []) place(token, vocab?.raw(token), tokenTypes.normal);

  const unknown = settings.optionalString("unk_token");
  const added = tokenizer.raw("added_tokens");
  for (const entry of Array.isArray(added) ? added : []) {
    const fields = new JsonFields(entry, tokenizer.file, "added_tokens.");
    const content = fields.optionalString("content") ?? "";
    const special = fields.optionalBoolean("special") ?? false;
    const type = special ? tokenTypes.control : tokenTypes.userDefined;
    place(content, fields.raw("id"), content === unknown ? tokenTypes.unknown : type);
  }

  const metadata = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", string("gpt2")],
    ["tokenizer.ggml.pre", string("gpt-2")],
    [
      "tokenizer.ggml.tokens",
      { type: "strings", value: tokens.map((token, id) => token ?? `[PAD${id}]`) },
    ],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ["tokenizer.ggml.merges", { type: "strings", value: merges(model) }],
    ["tokenizer.ggml.add_bos_token", bool(settings.optionalBoolean("add_bos_token") ?? false)],
    ["tokenizer.ggml.add_eos_token", bool(settings.optionalBoolean("add_eos_token") ?? false)],
  ]);
  const ids: [string, number | undefined][] = [
    ["bos", config.bosTokenId],
    ["eos", config.eosTokenIds[0]],
    ["unknown", unknown === undefined ? undefined : tokens.indexOf(unknown)],
    ["padding", config.padTokenId],
  ];
  for (const [name, id] of ids) {
    if (id !== undefined && id >= 0) metadata.set(`tokenizer.ggml.${name}_token_id`, u32(id));
  }
  return metadata;
}

/** Merges as "left right"; tokenizer.json has them so, or as pairs. */
function merges(model: JsonFields): string[] {
  const list = model.raw("merges");
  if (!Array.isArray(list)) throw model.bad("merges", "must be a list");
  return list.map((merge: unknown) => {
    if (typeof merge === "string") return merge;
    if (Array.isArray(merge) && merge.length === 2) return merge.join(" ");
    throw model.bad("merges", "must hold pairs of tokens");
  });
}
