import type { GraphBuilder, Value } from "../ir/builder.ts";
import {
  type BaseModel,
  decoderLayer,
  embedTokens,
  lmHead,
  projection,
  rowsOf,
} from "../models/llama.ts";
import { draftLevels } from "../speculation/draft-levels.ts";
import type { Drafter, DraftStep } from "../speculation/drafter.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { ancestorRows, maskConstant, type MaskRows, referenceEagleRows } from "./draft-masks.ts";
import { rememberHidden, rememberedHidden } from "./remembered-hidden.ts";
import { childTokens, expandedTokens, parentRows } from "./tree-levels.ts";

/**
 * How draft rows of one depth see each other. `ancestors` is the right mask. `reference` repeats
 * that of the original implementation, where siblings see earlier siblings; it exists to reproduce
 * published traces. What is proposed differs, never the text.
 */
export type EagleMask = "ancestors" | "reference";

/**
 * EAGLE-type head of Hydra's repository: one decoder layer over pairs (embedding of the next token,
 * hidden state), applied once per depth with its own output standing in for the hidden state. The
 * base model's LM head reads the layer's output directly.
 */
export function eagleAttn(model: BaseModel, mask: EagleMask = "ancestors"): Drafter {
  return {
    name: "eagle-attn",
    aliases: ["hydra"],
    maxDepth: Number.POSITIVE_INFINITY,
    hiddenStateOffset: 0,
    absorb(b, { hidden, following, start, last }) {
      const positions = b.add(b.iota(rowsOf(hidden)), start);
      const out = b.scope("draft.absorb", () =>
        pairLayer(b, model, following, hidden, { positions, length: start }),
      );
      rememberHidden(b, model, out, last);
    },
    draft: (b, tree, step) =>
      draftTree(b, model, tree, step, mask === "ancestors" ? ancestorRows : referenceEagleRows),
  };
}

function draftTree(
  b: GraphBuilder,
  model: BaseModel,
  tree: TreeTopology,
  { root, length, path }: DraftStep,
  maskRows: (tree: TreeTopology, depth: number) => MaskRows,
): Value {
  const levels = draftLevels(tree);
  const tokens = [root];
  let outputs = rememberedHidden(b, model);
  let slot = 0;
  for (const [depth, level] of levels.entries()) {
    b.scope(`draft.${depth}`, () => {
      const children = childTokens(b, level, lmHead(b, model, outputs));
      tokens.push(children);
      const next = levels[depth + 1];
      if (next === undefined) return;
      const parents = parentRows(b, next, outputs);
      const expanded = expandedTokens(b, level, next, children, { path });
      const count = next.expanded.length;
      // The root's pair sits at position length-1, so a node at depth d sits at length-1+d.
      const positions = b.add(b.constant("i32", new Array<number>(count).fill(depth)), length);
      const mask = maskConstant(b, maskRows(tree, depth + 1));
      const start = b.add(length, b.constant("i32", [slot]));
      outputs = pairLayer(b, model, expanded, parents, { positions, length, mask, start });
      slot += count;
    });
  }
  return b.concat(tokens, 0, "draft.tokens");
}

function pairLayer(
  b: GraphBuilder,
  model: BaseModel,
  tokens: Value,
  hidden: Value,
  rows: Parameters<typeof decoderLayer>[4],
): Value {
  const pair = b.concat([embedTokens(b, model, tokens), hidden], 1, "pair");
  const x = projection(b, model, "heads.fc", pair, model.config.hiddenSize, true);
  return decoderLayer(b, model, { parameters: "heads.attn", cache: "draft" }, x, rows);
}
