import type { ModelConfig } from "../../src/models/config.ts";

/** One tensor of the GGUF file and where it comes from. */
export interface TensorSource {
  /** Name in the GGUF file. */
  readonly name: string;
  /** Name in the Hugging Face checkpoint. */
  readonly from: string;
  /** Vectors (norms) are kept in f32, as ggml multiplies by them in f32. */
  readonly kind: "matrix" | "vector";
  /** Heads whose rows change from half to interleaved rotation; absent for all others. */
  readonly rotatedHeads?: number;
}

/** The tensors of a Llama in execution order, by their names on both sides. */
export function llamaTensors(config: ModelConfig): TensorSource[] {
  const layers = Array.from({ length: config.layers }, (_, layer): TensorSource[] => {
    const to = (name: string) => `blk.${layer}.${name}.weight`;
    const from = (name: string) => `model.layers.${layer}.${name}.weight`;
    const matrix = (name: string, source: string): TensorSource => ({
      name: to(name),
      from: from(source),
      kind: "matrix",
    });
    const vector = (name: string, source: string): TensorSource => ({
      name: to(name),
      from: from(source),
      kind: "vector",
    });
    return [
      vector("attn_norm", "input_layernorm"),
      { ...matrix("attn_q", "self_attn.q_proj"), rotatedHeads: config.heads },
      { ...matrix("attn_k", "self_attn.k_proj"), rotatedHeads: config.kvHeads },
      matrix("attn_v", "self_attn.v_proj"),
      matrix("attn_output", "self_attn.o_proj"),
      vector("ffn_norm", "post_attention_layernorm"),
      matrix("ffn_gate", "mlp.gate_proj"),
      matrix("ffn_up", "mlp.up_proj"),
      matrix("ffn_down", "mlp.down_proj"),
    ];
  });
  const output: TensorSource[] = config.tieWordEmbeddings
    ? []
    : [{ name: "output.weight", from: "lm_head.weight", kind: "matrix" }];
  return [
    { name: "token_embd.weight", from: "model.embed_tokens.weight", kind: "matrix" },
    ...layers.flat(),
    { name: "output_norm.weight", from: "model.norm.weight", kind: "vector" },
    ...output,
  ];
}

/**
 * Reorders the rows of a query or key projection [heads × headDim, columns].
 *
 * Hugging Face rotates element i of a head with element i + headDim / 2, llama.cpp's Llama rotates
 * element 2i with 2i + 1. Row i of a head's first half becomes row 2i, row i of its second half
 * row 2i + 1; queries and keys are permuted alike, so their products do not change.
 */
export function interleaveHalves(rows: Uint8Array, heads: number, headDim: number): Uint8Array {
  const rowBytes = rows.length / (heads * headDim);
  const half = headDim / 2;
  const out = new Uint8Array(rows.length);
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < headDim; i++) {
      const to = head * headDim + (i < half ? 2 * i : 2 * (i - half) + 1);
      const from = (head * headDim + i) * rowBytes;
      out.set(rows.subarray(from, from + rowBytes), to * rowBytes);
    }
  }
  return out;
}
