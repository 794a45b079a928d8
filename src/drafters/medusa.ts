import type { GraphBuilder, Value } from "../ir/builder.ts";
import { type BaseModel, lmHead, projection, weight } from "../models/llama.ts";
import { draftLevels } from "../speculation/draft-levels.ts";
import type { Drafter } from "../speculation/drafter.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { rememberHidden, rememberedHidden } from "./remembered-hidden.ts";
import { childTokens } from "./tree-levels.ts";

export interface MedusaHeads {
  /** Counted from the checkpoint's keys: the field in public config files is wrong. */
  readonly numHeads: number;
  /** Residual blocks before the output matrix; one module applied again and again. */
  readonly numLayers: number;
  /** False for "version 2" heads, which end in the base model's LM head. */
  readonly ownLmHead: boolean;
}

/**
 * Medusa (arXiv 2401.10774): independent heads on the last hidden state. Head k guesses the token
 * k+2 positions on, whatever the path, so equal ranks at one depth hold equal tokens.
 */
export function medusa(model: BaseModel, heads: MedusaHeads): Drafter {
  return {
    name: "medusa",
    maxDepth: heads.numHeads,
    hiddenStateOffset: 0,
    absorb: (b, rows) => rememberHidden(b, model, rows.hidden, rows.last),
    draft: (b, tree, { root }) =>
      draftIndependently(b, tree, root, (depth) => headLogits(b, model, heads, depth)),
  };
}

/** Fills a tree from heads that do not look at the path: `logits(d)` is f32[1, V] for depth d+1. */
export function draftIndependently(
  b: GraphBuilder,
  tree: TreeTopology,
  root: Value,
  logits: (depth: number) => Value,
): Value {
  const tokens = draftLevels(tree).map((level, depth) =>
    b.scope(`draft.${depth}`, () => childTokens(b, level, logits(depth), true)),
  );
  return b.concat([root, ...tokens], 0, "draft.tokens");
}

function headLogits(b: GraphBuilder, model: BaseModel, heads: MedusaHeads, head: number): Value {
  const { hiddenSize, vocabSize } = model.config;
  let x = rememberedHidden(b, model);
  for (let layer = 0; layer < heads.numLayers; layer++) {
    x = b.add(
      x,
      b.silu(projection(b, model, `heads.${head}.0.linear`, x, hiddenSize, true)),
      "residual",
    );
  }
  if (!heads.ownLmHead) return lmHead(b, model, x);
  return b.linear(
    x,
    weight(b, model, `heads.${head}.${heads.numLayers}.weight`, vocabSize, hiddenSize),
    undefined,
    "lm_head",
  );
}
