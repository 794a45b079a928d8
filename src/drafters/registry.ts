import type { HeadsConfig } from "../models/heads-config.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { crossAttn } from "./cross-attn.ts";
import { type EagleMask, eagleAttn } from "./eagle-attn.ts";
import { hydra } from "./hydra.ts";
import { medusa } from "./medusa.ts";

export interface DrafterOptions {
  /** For eagle-attn heads; `ancestors` unless a published trace is to be reproduced. */
  readonly eagleMask?: EagleMask | undefined;
}

/**
 * The draft method of a set of heads. Parameters are named `heads.` + the name in the checkpoint.
 * @param tensorNames names in the checkpoint: Medusa's config files do not count their heads right.
 */
export function drafterFor(
  model: BaseModel,
  heads: HeadsConfig,
  tensorNames: Iterable<string>,
  options: DrafterOptions = {},
): Drafter {
  if (heads.kind === "medusa") {
    const names = [...tensorNames];
    const indices = names.map((name) => /^(\d+)\.\d+\.linear\.weight$/.exec(name)?.[1] ?? -1);
    return medusa(model, {
      numHeads: 1 + Math.max(-1, ...indices.map(Number)),
      numLayers: heads.numLayers,
      ownLmHead: names.includes(`0.${heads.numLayers}.weight`),
    });
  }
  switch (heads.arch) {
    case "mlp":
    case "prefix-mlp":
      return hydra(model, { ...heads, arch: heads.arch });
    case "eagle-attn":
      return eagleAttn(model, options.eagleMask);
    case "cross-attn":
      return crossAttn(model);
    default:
      return heads.arch satisfies never;
  }
}

/**
 * Tensors that checkpoints of heads hold and generation does not need: copies of the base model's
 * matrices, rotary buffers, and the repeated copies of the one shared residual block.
 */
export function unusedHeadTensors(heads: HeadsConfig): readonly RegExp[] {
  if (heads.kind === "medusa") return [/^\d+\.\d+\.linear\.(weight|bias)$/];
  return [
    /^input_embed_fn\.weight$/,
    /^lm_head\.weight$/,
    /^prefix_embeding_layer\.embed_tokens\.weight$/,
    /rotary_emb\.inv_freq$/,
    /^hydra_mlp\.\d+\.\d+\.linear\.(weight|bias)$/,
  ];
}
