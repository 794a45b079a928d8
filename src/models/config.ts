import type { FloatDType } from "../ir/dtype.ts";
import { JsonFields } from "../util/json-fields.ts";

export type Architecture = "llama" | "mistral" | "qwen2";

/** How rotary frequencies are stretched for contexts beyond the trained one. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** Shape and constants of a Llama-type base model. Sizes are element counts. */
export interface ModelConfig {
  readonly architecture: Architecture;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** Longest context, in tokens; never beyond the sliding window (see `slidingWindow`). */
  readonly maxPositions: number;
  readonly rope: { readonly theta: number; readonly scaling: RopeScaling };
  readonly tieWordEmbeddings: boolean;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly bosTokenId?: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId?: number | undefined;
  /**
   * Attention window in tokens, set only when it is shorter than the positions the model was
   * trained for. Full attention gives the same result up to the window's length, so
   * `maxPositions` is cut to it.
   */
  readonly slidingWindow?: number | undefined;
  /** Type the file says its weights have; the weights themselves decide. */
  readonly dtype?: FloatDType | undefined;
}

/** What generation_config.json adds: further stop tokens and the authors' sampling settings. */
export interface GenerationConfig {
  readonly bosTokenId?: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId?: number | undefined;
  readonly doSample?: boolean | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
}

/**
 * Reads a Hugging Face config.json of a causal Llama-type model. Unknown fields are ignored; both
 * spellings of the rope fields (`rope_scaling` + `rope_theta`, `rope_parameters`) and of the dtype
 * field are understood.
 *
 * @param json the parsed file; @param file its name, for errors
 * @throws HydrantError `config/missing-field`, `config/bad-field`, `config/unsupported`
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  const fields = new JsonFields(json, file);
  const architecture = parseArchitecture(fields);
  rejectWhatChangesTheMaths(fields);

  const hiddenSize = fields.integer("hidden_size", 1);
  const heads = fields.integer("num_attention_heads", 1);
  const kvHeads = fields.optionalInteger("num_key_value_heads", 1) ?? heads;
  if (heads % kvHeads !== 0) {
    throw fields.bad("num_key_value_heads", `must divide num_attention_heads (${heads})`);
  }
  const headDim = parseHeadDim(fields, hiddenSize, heads);
  const trained = fields.integer("max_position_embeddings", 1);
  const window = parseSlidingWindow(fields, architecture);
  const attentionBias =
    architecture === "llama" && (fields.optionalBoolean("attention_bias") ?? false);

  return {
    architecture,
    vocabSize: fields.integer("vocab_size", 1),
    hiddenSize,
    intermediateSize: fields.integer("intermediate_size", 1),
    layers: fields.integer("num_hidden_layers", 1, maxLayers),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: fields.number("rms_norm_eps"),
    maxPositions: Math.min(trained, window ?? trained),
    rope: parseRope(fields),
    tieWordEmbeddings: fields.optionalBoolean("tie_word_embeddings") ?? false,
    qkvBias: architecture === "qwen2" || attentionBias,
    outputBias: attentionBias,
    mlpBias: architecture === "llama" && (fields.optionalBoolean("mlp_bias") ?? false),
    bosTokenId: tokenIds(fields, "bos_token_id")[0],
    eosTokenIds: tokenIds(fields, "eos_token_id"),
    padTokenId: tokenIds(fields, "pad_token_id")[0],
    slidingWindow: window !== undefined && window < trained ? window : undefined,
    dtype: parseDType(fields),
  };
}

/**
 * Reads a generation_config.json.
 *
 * @throws HydrantError `config/bad-field`
 */
export function parseGenerationConfig(json: unknown, file: string): GenerationConfig {
  const fields = new JsonFields(json, file);
  return {
    bosTokenId: tokenIds(fields, "bos_token_id")[0],
    eosTokenIds: tokenIds(fields, "eos_token_id"),
    padTokenId: tokenIds(fields, "pad_token_id")[0],
    doSample: fields.optionalBoolean("do_sample"),
    temperature: fields.optionalNumber("temperature", "from zero"),
    topP: fields.optionalNumber("top_p"),
    topK: fields.optionalInteger("top_k"),
  };
}

/** The model stops on the end tokens of either file; other ids come from config.json first. */
export function mergeGenerationConfig(
  model: ModelConfig,
  generation: GenerationConfig,
): ModelConfig {
  return {
    ...model,
    bosTokenId: model.bosTokenId ?? generation.bosTokenId,
    eosTokenIds: [...new Set([...model.eosTokenIds, ...generation.eosTokenIds])],
    padTokenId: model.padTokenId ?? generation.padTokenId,
  };
}

const architectures: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: "llama",
  LLaMAForCausalLM: "llama",
  MistralForCausalLM: "mistral",
  Qwen2ForCausalLM: "qwen2",
};
const modelTypes: Readonly<Record<string, Architecture>> = {
  llama: "llama",
  mistral: "mistral",
  qwen2: "qwen2",
};
const supported = "Supported are LlamaForCausalLM, MistralForCausalLM and Qwen2ForCausalLM.";

function parseArchitecture(fields: JsonFields): Architecture {
  const listed = fields.raw("architectures");
  const name: unknown = Array.isArray(listed) ? listed[0] : listed;
  if (name !== undefined && name !== null) {
    if (typeof name !== "string") throw fields.bad("architectures", "must be a list of names");
    const known = Object.hasOwn(architectures, name) ? architectures[name] : undefined;
    if (known !== undefined) return known;
    throw fields.unsupported(
      "architectures",
      `Architecture ${name.slice(0, 80)} is not supported.`,
      supported,
    );
  }
  const type = fields.optionalString("model_type");
  if (type === undefined) {
    throw fields.bad("architectures", "or model_type must name the architecture");
  }
  const known = Object.hasOwn(modelTypes, type) ? modelTypes[type] : undefined;
  if (known !== undefined) return known;
  throw fields.unsupported(
    "model_type",
    `Model type ${type.slice(0, 80)} is not supported.`,
    supported,
  );
}

// The graph is built before the weights are compared with it, so what its size follows has a bound
// that no model comes near: a broken file must not exhaust the memory.
const maxLayers = 1024;
const maxHeadDim = 65536;

/** Fields that, when set, mean another computation than the one we build. */
function rejectWhatChangesTheMaths(fields: JsonFields): void {
  const activation = fields.optionalString("hidden_act") ?? "silu";
  if (activation !== "silu") {
    throw fields.unsupported(
      "hidden_act",
      `Activation ${activation.slice(0, 40)} is not supported, only silu.`,
    );
  }
  const rotated =
    fields.optionalObject("rope_parameters")?.optionalNumber("partial_rotary_factor") ??
    fields.optionalNumber("partial_rotary_factor") ??
    1;
  if (rotated !== 1) {
    throw fields.unsupported("partial_rotary_factor", "Partly rotated heads are not supported.");
  }
  if (fields.has("quantization_config")) {
    throw fields.unsupported(
      "quantization_config",
      "The weights are quantized, which is not supported.",
      "Use the unquantized repository (bf16, fp16 or fp32 weights).",
    );
  }
}

function parseHeadDim(fields: JsonFields, hiddenSize: number, heads: number): number {
  const given = fields.optionalInteger("head_dim", 1);
  if (given === undefined && hiddenSize % heads !== 0) {
    throw fields.bad(
      "num_attention_heads",
      `must divide hidden_size (${hiddenSize}) when head_dim is absent`,
    );
  }
  const headDim = given ?? hiddenSize / heads;
  const field = given === undefined ? "num_attention_heads" : "head_dim";
  // Rotary embedding turns pairs of dimensions.
  if (headDim % 2 !== 0) throw fields.bad(field, `gives heads of odd size ${headDim}`);
  if (headDim > maxHeadDim) {
    throw fields.bad(field, `gives heads of size ${headDim}, beyond ${maxHeadDim}`);
  }
  return headDim;
}

/** Qwen2 files carry a window that only counts when `use_sliding_window` says so. */
function parseSlidingWindow(fields: JsonFields, architecture: Architecture): number | undefined {
  const window = fields.optionalInteger("sliding_window", 1);
  switch (architecture) {
    case "llama":
      return undefined;
    case "mistral":
      return window;
    case "qwen2":
      return (fields.optionalBoolean("use_sliding_window") ?? false) ? window : undefined;
    default:
      return architecture satisfies never;
  }
}

function parseRope(fields: JsonFields): ModelConfig["rope"] {
  const parameters = fields.optionalObject("rope_parameters");
  const theta =
    parameters?.optionalNumber("rope_theta") ?? fields.optionalNumber("rope_theta") ?? 10000;
  const scaling = parameters ?? fields.optionalObject("rope_scaling");
  return {
    theta,
    scaling: scaling === undefined ? { type: "default" } : parseScaling(scaling, fields),
  };
}

function parseScaling(scaling: JsonFields, config: JsonFields): RopeScaling {
  const typeField = scaling.has("rope_type") ? "rope_type" : "type";
  const type = scaling.optionalString(typeField);
  switch (type) {
    case undefined:
      // A factor without a type would change the maths in a way nobody has said.
      if (scaling.has("factor")) throw scaling.bad("rope_type", "must say how factor is meant");
      return { type: "default" };
    case "default":
      return { type: "default" };
    case "linear":
      return { type: "linear", factor: scaling.number("factor") };
    case "llama3": {
      const lowFreqFactor = scaling.number("low_freq_factor");
      const highFreqFactor = scaling.number("high_freq_factor");
      if (highFreqFactor <= lowFreqFactor) {
        throw scaling.bad("high_freq_factor", `must be above low_freq_factor (${lowFreqFactor})`);
      }
      return {
        type: "llama3",
        factor: scaling.number("factor"),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositions:
          scaling.optionalInteger("original_max_position_embeddings", 1) ??
          config.optionalInteger("original_max_position_embeddings", 1) ??
          scaling.integer("original_max_position_embeddings", 1),
      };
    }
    default:
      throw scaling.unsupported(
        typeField,
        `Rope scaling ${type.slice(0, 40)} is not supported.`,
        "Supported are default, linear and llama3.",
      );
  }
}

/** One id, a list of ids, or none; some files write -1 for none. */
function tokenIds(fields: JsonFields, name: string): number[] {
  if (!fields.has(name)) return [];
  const value = fields.raw(name);
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  return ids
    .map((id) => {
      if (typeof id === "number" && Number.isSafeInteger(id)) return id;
      throw fields.bad(name, "must be a token id or a list of token ids");
    })
    .filter((id) => id >= 0);
}

const storedTypes: Readonly<Record<string, FloatDType>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
};

function parseDType(fields: JsonFields): FloatDType | undefined {
  const name = fields.optionalString("dtype") ?? fields.optionalString("torch_dtype");
  const bare = name?.replace(/^torch\./, "");
  return bare !== undefined && Object.hasOwn(storedTypes, bare) ? storedTypes[bare] : undefined;
}
