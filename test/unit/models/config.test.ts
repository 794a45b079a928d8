import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  mergeGenerationConfig,
  parseGenerationConfig,
  parseModelConfig,
} from "../../../src/models/config.ts";
import { parseHeadsConfig } from "../../../src/models/heads-config.ts";
import { HydrantError } from "../../../src/util/errors.ts";

const vicuna = {
  architectures: ["LlamaForCausalLM"],
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  hidden_size: 4096,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 2048,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  pad_token_id: 0,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  torch_dtype: "float16",
  vocab_size: 32000,
};

const parse = (changes: object) => parseModelConfig({ ...vicuna, ...changes }, "config.json");

function failure(action: () => unknown): HydrantError {
  try {
    action();
  } catch (error) {
    if (error instanceof HydrantError) return error;
    throw error;
  }
  return expect.fail("expected a HydrantError");
}

describe("reading config.json", () => {
  it("refuses sizes that no model has, before a graph is built of them", () => {
    for (const changes of [
      { num_hidden_layers: 2_000_000_000 },
      { head_dim: 2_000_000_000 },
      { hidden_size: 2_000_000_000, num_attention_heads: 1 },
    ]) {
      expect(failure(() => parse(changes))).toMatchObject({ code: "config/bad-field" });
    }
    const heads = { hydra_num_layers: 1_000_000_000 };
    expect(failure(() => parseHeadsConfig(heads, "config.json"))).toMatchObject({
      code: "config/bad-field",
      path: "config.json: hydra_num_layers",
    });
  });

  it("refuses partly rotated heads in both places that can ask for them", () => {
    for (const changes of [
      { partial_rotary_factor: 0.5 },
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
    ]) {
      expect(failure(() => parse(changes))).toMatchObject({ code: "config/unsupported" });
    }
  });

  it("fills what early Llama files leave out", () => {
    expect(parse({})).toEqual({
      architecture: "llama",
      vocabSize: 32000,
      hiddenSize: 4096,
      intermediateSize: 11008,
      layers: 32,
      heads: 32,
      kvHeads: 32,
      headDim: 128,
      rmsNormEps: 1e-6,
      maxPositions: 2048,
      rope: { theta: 10000, scaling: { type: "default" } },
      tieWordEmbeddings: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: 0,
      slidingWindow: undefined,
      dtype: "f16",
    });
  });

  it("reads both spellings of rope and dtype fields", () => {
    const llama3 = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const scaling = {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    };
    const older = parse({
      rope_theta: 500000,
      rope_scaling: { rope_type: "llama3", ...llama3 },
      torch_dtype: "bfloat16",
    });
    const newer = parse({
      rope_parameters: { rope_type: "llama3", rope_theta: 500000, ...llama3 },
      dtype: "bfloat16",
    });
    expect(older.rope).toEqual({ theta: 500000, scaling });
    expect(newer.rope).toEqual(older.rope);
    expect([older.dtype, newer.dtype]).toEqual(["bf16", "bf16"]);
    expect(parse({ rope_scaling: { type: "linear", factor: 4 } }).rope.scaling).toEqual({
      type: "linear",
      factor: 4,
    });
  });

  it("knows the biases of each family", () => {
    const qwen = parse({ architectures: ["Qwen2ForCausalLM"], attention_bias: false });
    expect(qwen).toMatchObject({
      architecture: "qwen2",
      qkvBias: true,
      outputBias: false,
      mlpBias: false,
    });
    expect(parse({ attention_bias: true, mlp_bias: true })).toMatchObject({
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
    });
  });

  it("cuts the context to a sliding window that is in force", () => {
    const mistral = { architectures: ["MistralForCausalLM"], max_position_embeddings: 32768 };
    expect(parse({ ...mistral, sliding_window: 4096 })).toMatchObject({
      maxPositions: 4096,
      slidingWindow: 4096,
    });
    expect(parse({ ...mistral, sliding_window: null }).maxPositions).toBe(32768);
    expect(parse({ ...mistral, sliding_window: 65536 })).toMatchObject({
      maxPositions: 32768,
      slidingWindow: undefined,
    });
    const qwen = {
      architectures: ["Qwen2ForCausalLM"],
      max_position_embeddings: 32768,
      sliding_window: 4096,
    };
    expect(parse({ ...qwen, use_sliding_window: false }).maxPositions).toBe(32768);
    expect(parse({ ...qwen, use_sliding_window: true }).maxPositions).toBe(4096);
  });

  it("takes heads wider than their share of the hidden size", () => {
    expect(parse({ hidden_size: 5120, head_dim: 128, num_key_value_heads: 8 })).toMatchObject({
      headDim: 128,
      kvHeads: 8,
    });
  });

  it("reads lists of end tokens and drops ids that mean none", () => {
    expect(parse({ eos_token_id: [128001, 128009] }).eosTokenIds).toEqual([128001, 128009]);
    expect(parse({ pad_token_id: -1, eos_token_id: null })).toMatchObject({
      padTokenId: undefined,
      eosTokenIds: [],
    });
  });

  it("reads the demo model", () => {
    const file = new URL("../../../demo/model/base/config.json", import.meta.url);
    const config = parseModelConfig(JSON.parse(readFileSync(file, "utf8")), "config.json");
    expect(config).toMatchObject({
      layers: 5,
      heads: 4,
      kvHeads: 2,
      headDim: 64,
      vocabSize: 2048,
      dtype: "bf16",
    });
  });

  const required = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
  ];
  for (const field of [...required, "max_position_embeddings", "rms_norm_eps"]) {
    it(`names ${field} when it is missing`, () => {
      const error = failure(() => parse({ [field]: null }));
      expect(error.code).toBe("config/missing-field");
      expect(error.path).toBe(`config.json: ${field}`);
    });
  }

  const bad: [field: string, code: string, changes: object][] = [
    ["num_key_value_heads", "bad-field", { num_key_value_heads: 5 }],
    ["num_attention_heads", "bad-field", { num_attention_heads: 30 }],
    ["head_dim", "bad-field", { head_dim: 65 }],
    ["hidden_size", "bad-field", { hidden_size: 4096.5 }],
    ["hidden_size", "bad-field", { hidden_size: 2 ** 40 }],
    ["vocab_size", "bad-field", { vocab_size: "32000" }],
    ["rms_norm_eps", "bad-field", { rms_norm_eps: Number.NaN }],
    ["rms_norm_eps", "bad-field", { rms_norm_eps: -1 }],
    ["rope_theta", "bad-field", { rope_theta: Number.POSITIVE_INFINITY }],
    ["eos_token_id", "bad-field", { eos_token_id: ["</s>"] }],
    ["tie_word_embeddings", "bad-field", { tie_word_embeddings: 1 }],
    ["rope_scaling.rope_type", "unsupported", { rope_scaling: { rope_type: "yarn", factor: 4 } }],
    ["rope_scaling.type", "unsupported", { rope_scaling: { type: "dynamic", factor: 4 } }],
    ["rope_scaling.factor", "missing-field", { rope_scaling: { type: "linear" } }],
    ["rope_scaling.rope_type", "bad-field", { rope_scaling: { factor: 4 } }],
    ["rope_scaling", "bad-field", { rope_scaling: [] }],
    [
      "rope_parameters.high_freq_factor",
      "bad-field",
      {
        rope_parameters: {
          rope_type: "llama3",
          factor: 8,
          low_freq_factor: 4,
          high_freq_factor: 4,
        },
      },
    ],
    ["architectures", "unsupported", { architectures: ["Qwen3ForCausalLM"] }],
    ["architectures", "unsupported", { architectures: ["constructor"] }],
    ["model_type", "unsupported", { architectures: null, model_type: "gpt2" }],
    ["hidden_act", "unsupported", { hidden_act: "gelu" }],
    ["quantization_config", "unsupported", { quantization_config: { bits: 4 } }],
    ["partial_rotary_factor", "unsupported", { partial_rotary_factor: 0.5 }],
  ];
  for (const [field, code, changes] of bad) {
    it(`names ${field} when it is given as ${JSON.stringify(changes)}`, () => {
      const error = failure(() => parse(changes));
      expect(error.code).toBe(`config/${code}`);
      expect(error.path?.startsWith(`config.json: ${field}`) || error.message.includes(field)).toBe(
        true,
      );
    });
  }

  it("answers any change of any field with a config or a HydrantError", () => {
    const field = fc.constantFrom(
      ...Object.keys(vicuna),
      "head_dim",
      "rope_scaling",
      "rope_parameters",
      "sliding_window",
    );
    fc.assert(
      fc.property(fc.dictionary(field, fc.jsonValue(), { minKeys: 1 }), (changes) => {
        try {
          expect(parse(changes).headDim % 2).toBe(0);
        } catch (error) {
          if (!(error instanceof HydrantError)) throw error;
        }
      }),
      { numRuns: 500, seed: 9 },
    );
  });

  it("refuses what is no object", () => {
    for (const json of [null, [], 3, "x"])
      expect(failure(() => parseModelConfig(json, "f")).code).toBe("config/bad-field");
  });
});

describe("reading generation_config.json", () => {
  it("adds its end tokens to the model's", () => {
    const generation = parseGenerationConfig(
      { eos_token_id: [2, 7], temperature: 0, top_p: 0.9, pad_token_id: 5 },
      "g",
    );
    expect(generation).toMatchObject({ temperature: 0, topP: 0.9 });
    const merged = mergeGenerationConfig(parse({ pad_token_id: null }), generation);
    expect(merged).toMatchObject({ eosTokenIds: [2, 7], padTokenId: 5, bosTokenId: 1 });
  });
});

describe("reading the settings of draft heads", () => {
  it("reads published Hydra++ and Medusa files", () => {
    const hydra = {
      base_model_name_or_path: "lmsys/vicuna-7b-v1.3",
      grounded_heads: true,
      hidden_state_offset: 0,
      hydra_head_arch: "prefix-mlp",
      hydra_num_heads: 4,
      hydra_num_layers: 4,
    };
    expect(parseHeadsConfig(hydra, "c")).toEqual({
      kind: "hydra",
      arch: "prefix-mlp",
      numHeads: 4,
      numLayers: 4,
      grounded: true,
      hiddenStateOffset: 0,
      baseModel: "lmsys/vicuna-7b-v1.3",
    });
    expect(
      parseHeadsConfig({ medusa_num_heads: 2, medusa_num_layers: 1, version: "2" }, "c"),
    ).toMatchObject({
      kind: "medusa",
      numHeads: 2,
      ownLmHeads: false,
    });
    expect(parseHeadsConfig({}, "c", "hydra")).toMatchObject({
      arch: "mlp",
      numHeads: 4,
      grounded: false,
    });
  });

  it("refuses unknown kinds, unknown architectures and settings that contradict the architecture", () => {
    expect(failure(() => parseHeadsConfig({}, "c")).code).toBe("config/unsupported");
    expect(failure(() => parseHeadsConfig({ hydra_head_arch: "rnn" }, "c")).code).toBe(
      "config/unsupported",
    );
    for (const changes of [
      { hydra_num_heads: 4 },
      { hydra_num_layers: 2 },
      { grounded_heads: false },
    ]) {
      const error = failure(() =>
        parseHeadsConfig({ hydra_head_arch: "eagle-attn", ...changes }, "c"),
      );
      expect(error.path).toBe(`c: ${Object.keys(changes)[0]}`);
    }
  });
});
