import type { GraphBuilder, Value } from "../ir/builder.ts";
import {
  type BaseModel,
  decoderLayer,
  embedTokens,
  projection,
  rmsNorm,
  rowsOf,
} from "../models/llama.ts";
import { draftLevels } from "../speculation/draft-levels.ts";
import type { CommittedRows, Drafter, DraftStep } from "../speculation/drafter.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { draftIndependently } from "./medusa.ts";
import { rememberHidden, rememberedHidden } from "./remembered-hidden.ts";
import { childTokens, expandedTokens, parentRows } from "./tree-levels.ts";

export interface HydraHeads {
  readonly arch: "mlp" | "prefix-mlp";
  readonly numHeads: number;
  /** Residual blocks of a head: the first sees the path, the others are one module applied again. */
  readonly numLayers: number;
  /** Whether heads see the embeddings of the path (sequential dependence); without, they are Medusa's. */
  readonly grounded: boolean;
  readonly hiddenStateOffset: number;
}

/**
 * Hydra and Hydra++ (arXiv 2402.05109): head i guesses depth i+1 from the remembered hidden state
 * and the embeddings of the root and of the i path tokens below it. In Hydra++ (`prefix-mlp`) the
 * hidden state first passes one decoder layer of its own over all committed positions.
 */
export function hydra(model: BaseModel, heads: HydraHeads): Drafter {
  return {
    name: heads.arch === "prefix-mlp" ? "hydra++" : "hydra",
    aliases: ["hydra"],
    maxDepth: heads.numHeads,
    hiddenStateOffset: heads.hiddenStateOffset,
    absorb(b, rows) {
      const hidden = heads.arch === "prefix-mlp" ? prefixLayer(b, model, rows) : rows.hidden;
      rememberHidden(b, model, hidden, rows.last);
    },
    draft(b, tree, step) {
      if (heads.grounded) return draftSequentially(b, model, heads, tree, step);
      return draftIndependently(b, tree, step.root, (head) =>
        headLogits(b, model, heads, head, rememberedHidden(b, model)),
      );
    },
  };
}

/** One decoder layer and its norm over the hidden states of the committed tokens; tree nodes never enter it. */
function prefixLayer(b: GraphBuilder, model: BaseModel, { hidden, start }: CommittedRows): Value {
  // The misspelling is the checkpoint's.
  const prefix = "heads.prefix_embeding_layer";
  const positions = b.add(b.iota(rowsOf(hidden)), start);
  return b.scope("prefix", () => {
    const out = decoderLayer(
      b,
      model,
      { parameters: `${prefix}.layers.0`, cache: "draft" },
      hidden,
      {
        positions,
        length: start,
      },
    );
    return rmsNorm(b, model, `${prefix}.norm.weight`, out);
  });
}

function draftSequentially(
  b: GraphBuilder,
  model: BaseModel,
  heads: HydraHeads,
  tree: TreeTopology,
  step: DraftStep,
): Value {
  const levels = draftLevels(tree);
  const { root } = step;
  const tokens = [root];
  // One row per expanded node: [hidden ; E(root) ; E(path token 1) ; …], a slot wider at each depth.
  let rows = b.concat([rememberedHidden(b, model), embedTokens(b, model, root)], 1, "draft.rows");
  for (const [depth, level] of levels.entries()) {
    b.scope(`draft.${depth}`, () => {
      const children = childTokens(b, level, headLogits(b, model, heads, depth, rows));
      tokens.push(children);
      const next = levels[depth + 1];
      if (next === undefined) return;
      const grown = embedTokens(b, model, expandedTokens(b, level, next, children, step));
      rows = b.concat([parentRows(b, next, rows), grown], 1, "rows");
    });
  }
  return b.concat(tokens, 0, "draft.tokens");
}

function headLogits(
  b: GraphBuilder,
  model: BaseModel,
  heads: HydraHeads,
  head: number,
  rows: Value,
): Value {
  const { hiddenSize, vocabSize } = model.config;
  // Dropout modules take the even indices of the prefix-mlp checkpoint's sequences.
  const [first, second, output] = heads.arch === "prefix-mlp" ? [1, 3, ".1"] : [0, 1, ""];
  const block = (index: number, x: Value) =>
    b.silu(projection(b, model, `heads.hydra_mlp.${head}.${index}.linear`, x, hiddenSize, true));
  const residual = heads.grounded
    ? projection(
        b,
        model,
        `heads.hydra_mlp.${head}.${first}.res_connection`,
        rows,
        hiddenSize,
        true,
      )
    : rows;
  let x = b.add(residual, block(first, rows), "residual");
  // The reference repeats one module, so its file holds equal copies under the later indices.
  for (let layer = 1; layer < heads.numLayers; layer++) x = b.add(x, block(second, x), "residual");
  return projection(
    b,
    model,
    `heads.hydra_lm_head.${head}${output}`,
    x,
    vocabSize,
    true,
    "lm_head",
  );
}
