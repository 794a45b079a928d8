import type { GraphBuilder, Value } from "../ir/builder.ts";
import type { FloatDType } from "../ir/dtype.ts";
import { type Dim, tensor } from "../ir/shape.ts";
import type { ModelConfig } from "./config.ts";
import { inverseFrequencies } from "./rope-frequencies.ts";

/** A Llama-type base model as the graph builders see it. */
export interface BaseModel {
  readonly config: ModelConfig;
  /** Type a weight is stored in; it stays that way on the device. */
  readonly storedType: (parameter: string) => FloatDType;
  /** Type of cached keys and values. */
  readonly cacheType: FloatDType;
  /** Layers that differ from Llama's; `llama` unless given. */
  readonly forward?: ForwardPass | undefined;
}

/** Token ids i32[rows] → hidden states f32[rows, D]; keys and values go to the `kv.{layer}` states. */
export type ForwardPass = (
  b: GraphBuilder,
  model: BaseModel,
  tokens: Value,
  rows: Rows,
) => HiddenStates;

/** Where the rows of one forward pass sit, and what they may see. */
export interface Rows {
  /** Absolute position of each row, i32[rows]. */
  readonly positions: Value;
  /** Slots every row sees, i32[1]; with no mask row i also sees the i+1 slots from there on. */
  readonly length: Value;
  /** Tree mask u64[rows, W] over the slots from `length` on; causal without. */
  readonly mask?: Value | undefined;
  /** Slot the first row's keys and values go to, i32[1]; `length` unless given. */
  readonly start?: Value | undefined;
}

/** What the decoder layers hand on: inputs of every layer, then the normed output of the last. */
export interface HiddenStates {
  readonly layerInputs: readonly Value[];
  readonly final: Value;
}

/** Llama, Mistral and Qwen2: a `ForwardPass`. */
export function llama(b: GraphBuilder, model: BaseModel, tokens: Value, rows: Rows): HiddenStates {
  const { config } = model;
  const layerInputs: Value[] = [];
  let x = embedTokens(b, model, tokens);
  for (let layer = 0; layer < config.layers; layer++) {
    layerInputs.push(x);
    const input = x;
    x = b.scope(`layers.${layer}`, () =>
      decoderLayer(
        b,
        model,
        { parameters: `model.layers.${layer}`, cache: `kv.${layer}` },
        input,
        rows,
      ),
    );
  }
  return { layerInputs, final: rmsNorm(b, model, "model.norm.weight", x) };
}

export function embedTokens(b: GraphBuilder, model: BaseModel, tokens: Value): Value {
  const { vocabSize, hiddenSize } = model.config;
  return b.embedding(
    weight(b, model, "model.embed_tokens.weight", vocabSize, hiddenSize),
    tokens,
    "embed_tokens",
  );
}

/** Hidden states f32[rows, D] → logits f32[rows, V], by the base model's output matrix. */
export function lmHead(b: GraphBuilder, model: BaseModel, hidden: Value): Value {
  const { vocabSize, hiddenSize, tieWordEmbeddings } = model.config;
  const name = tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  return b.linear(hidden, weight(b, model, name, vocabSize, hiddenSize), undefined, "lm_head");
}

/** Names a layer's weights (by prefix) and its cache; draft heads reuse the layer under their own. */
export interface LayerNames {
  readonly parameters: string;
  readonly cache: string;
}

/** Attention and feed-forward, each with its norm before and a residual around. */
export function decoderLayer(
  b: GraphBuilder,
  model: BaseModel,
  names: LayerNames,
  x: Value,
  rows: Rows,
): Value {
  const { parameters } = names;
  const attentionInput = rmsNorm(
    b,
    model,
    `${parameters}.input_layernorm.weight`,
    x,
    "input_layernorm",
  );
  const attended = selfAttention(
    b,
    model,
    { ...names, parameters: `${parameters}.self_attn` },
    attentionInput,
    rows,
  );
  const middle = b.add(x, attended, "attention_residual");
  const mlpInput = rmsNorm(
    b,
    model,
    `${parameters}.post_attention_layernorm.weight`,
    middle,
    "post_attention_layernorm",
  );
  return b.add(middle, gatedMlp(b, model, `${parameters}.mlp`, mlpInput), "mlp_residual");
}

function selfAttention(
  b: GraphBuilder,
  model: BaseModel,
  names: LayerNames,
  x: Value,
  rows: Rows,
): Value {
  const q = queries(b, model, names.parameters, x, rows.positions);
  const { keys, values } = writeKeysAndValues(
    b,
    model,
    names,
    x,
    rows.positions,
    rows.start ?? rows.length,
  );
  return attendAndProject(b, model, names.parameters, {
    q,
    keys,
    values,
    length: rows.length,
    mask: rows.mask,
  });
}

/** x f32[rows, D] → rotated queries f32[rows, heads, headDim]. */
export function queries(
  b: GraphBuilder,
  model: BaseModel,
  parameters: string,
  x: Value,
  positions: Value,
): Value {
  const { heads, headDim, qkvBias } = model.config;
  const q = projection(b, model, `${parameters}.q_proj`, x, heads * headDim, qkvBias);
  return rotate(b, model, b.reshape(q, rowsOf(x), heads, headDim), positions);
}

/** Stores the rows' rotated keys and their values from slot `start` on; returns both caches. */
export function writeKeysAndValues(
  b: GraphBuilder,
  model: BaseModel,
  names: LayerNames,
  x: Value,
  positions: Value,
  start: Value,
): { keys: Value; values: Value } {
  const { kvHeads, headDim, qkvBias } = model.config;
  const { parameters, cache } = names;
  const type = tensor(model.cacheType, "capacity", kvHeads, headDim);
  const k = projection(b, model, `${parameters}.k_proj`, x, kvHeads * headDim, qkvBias);
  const v = projection(b, model, `${parameters}.v_proj`, x, kvHeads * headDim, qkvBias);
  const rotated = rotate(b, model, b.reshape(k, rowsOf(x), kvHeads, headDim), positions);
  const keys = b.cacheWrite(b.state(`${cache}.k`, type), rotated, start, "write_keys");
  b.update(`${cache}.k`, keys);
  const values = b.cacheWrite(
    b.state(`${cache}.v`, type),
    b.reshape(v, rowsOf(x), kvHeads, headDim),
    start,
    "write_values",
  );
  b.update(`${cache}.v`, values);
  return { keys, values };
}

/** Attention, then the output projection back to f32[rows, D]. */
export function attendAndProject(
  b: GraphBuilder,
  model: BaseModel,
  parameters: string,
  operands: { q: Value; keys: Value; values: Value; length: Value; mask?: Value | undefined },
): Value {
  const { heads, headDim, hiddenSize, outputBias } = model.config;
  const attended = b.attention(operands, 1 / Math.sqrt(headDim), "attention");
  const flat = b.reshape(attended, rowsOf(attended), heads * headDim);
  return projection(b, model, `${parameters}.o_proj`, flat, hiddenSize, outputBias);
}

/** SwiGLU: down(silu(gate(x)) · up(x)). */
export function gatedMlp(b: GraphBuilder, model: BaseModel, parameters: string, x: Value): Value {
  const { hiddenSize, intermediateSize, mlpBias } = model.config;
  const gate = projection(b, model, `${parameters}.gate_proj`, x, intermediateSize, mlpBias);
  const up = projection(b, model, `${parameters}.up_proj`, x, intermediateSize, mlpBias);
  const product = b.mul(b.silu(gate, "silu"), up, "gate_times_up");
  return projection(b, model, `${parameters}.down_proj`, product, hiddenSize, mlpBias);
}

export function rmsNorm(
  b: GraphBuilder,
  model: BaseModel,
  parameter: string,
  x: Value,
  label = "norm",
): Value {
  const { hiddenSize, rmsNormEps } = model.config;
  return b.rmsNorm(x, weight(b, model, parameter, hiddenSize), rmsNormEps, label);
}

/** x f32[rows, K] times `{name}.weight` [outputs, K] (+ `{name}.bias`). */
export function projection(
  b: GraphBuilder,
  model: BaseModel,
  name: string,
  x: Value,
  outputs: number,
  hasBias: boolean,
  label = name.slice(name.lastIndexOf(".") + 1),
): Value {
  const matrix = weight(b, model, `${name}.weight`, outputs, columnsOf(x));
  const bias = hasBias ? weight(b, model, `${name}.bias`, outputs) : undefined;
  return b.linear(x, matrix, bias, label);
}

export function weight(b: GraphBuilder, model: BaseModel, name: string, ...shape: number[]): Value {
  return b.parameter(name, tensor(model.storedType(name), ...shape));
}

/** First extent of a value: its rows. */
export function rowsOf(x: Value): Dim {
  return x.type.shape[0] ?? 1;
}

function columnsOf(x: Value): number {
  const last = x.type.shape.at(-1);
  if (typeof last !== "number")
    throw new RangeError("the last axis of an activation is always a number");
  return last;
}

function rotate(b: GraphBuilder, model: BaseModel, x: Value, positions: Value): Value {
  return b.rope(x, positions, b.constant("f32", inverseFrequencies(model.config)), "rope");
}
