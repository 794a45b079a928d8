import type { ModelConfig } from "../../../src/models/config.ts";

export interface ModelProduct {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** How many of them one forward pass has. */
  readonly count: number;
}

/**
 * The matrix products of a forward pass, those of one input joined: what a library that knows
 * nothing but products has to compute.
 */
export function modelProducts(config: ModelConfig): readonly ModelProduct[] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, layers, vocabSize } = config;
  return [
    { name: "qkv", inputs: hiddenSize, outputs: (heads + 2 * kvHeads) * headDim, count: layers },
    { name: "o_proj", inputs: heads * headDim, outputs: hiddenSize, count: layers },
    { name: "gate_up", inputs: hiddenSize, outputs: 2 * intermediateSize, count: layers },
    { name: "down", inputs: intermediateSize, outputs: hiddenSize, count: layers },
    { name: "lm_head", inputs: hiddenSize, outputs: vocabSize, count: 1 },
  ];
}
