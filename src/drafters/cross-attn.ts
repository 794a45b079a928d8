import type { GraphBuilder, Value } from "../ir/builder.ts";
import {
  attendAndProject,
  type BaseModel,
  embedTokens,
  gatedMlp,
  lmHead,
  queries,
  rmsNorm,
  rowsOf,
  writeKeysAndValues,
} from "../models/llama.ts";
import { draftLevels, proposalMask } from "../speculation/draft-levels.ts";
import type { Drafter, DraftStep } from "../speculation/drafter.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { maskConstant } from "./draft-masks.ts";
import { childTokens, expandedTokens } from "./tree-levels.ts";

const names = { parameters: "heads.cross_attn", cache: "draft" };

/**
 * Cross-attention head of Hydra's repository: a token's embedding attends to the base model's hidden
 * states, and at deeper levels also to the head's own outputs for the tokens above it. Those stand
 * at the last hidden state's position and are forgotten after the step.
 */
export function crossAttn(model: BaseModel): Drafter {
  return {
    name: "cross-attn",
    aliases: ["hydra"],
    maxDepth: Number.POSITIVE_INFINITY,
    hiddenStateOffset: 0,
    absorb(b, { hidden, start }) {
      const positions = b.add(b.iota(rowsOf(hidden)), start);
      b.scope("draft.absorb", () =>
        writeKeysAndValues(b, model, names, inputNorm(b, model, hidden), positions, start),
      );
    },
    draft: (b, tree, step) => draftTree(b, model, tree, step),
  };
}

function draftTree(
  b: GraphBuilder,
  model: BaseModel,
  tree: TreeTopology,
  { root, length, path }: DraftStep,
): Value {
  const levels = draftLevels(tree);
  const tokens = [root];
  const lastPosition = b.add(length, b.constant("i32", [-1]));
  let frontier = root;
  let slot = 0;
  for (const [depth, level] of levels.entries()) {
    b.scope(`draft.${depth}`, () => {
      const count = level.expanded.length;
      const positions = b.add(
        b.constant("i32", new Array<number>(count).fill(depth)),
        lastPosition,
      );
      const outputs = attend(
        b,
        model,
        embedTokens(b, model, frontier),
        positions,
        length,
        maskConstant(b, depth === 0 ? [[]] : proposalMask(tree, depth)),
      );
      const children = childTokens(b, level, lmHead(b, model, outputs));
      tokens.push(children);
      const next = levels[depth + 1];
      if (next === undefined) return;
      // Outputs that nodes further down will see: the root's, then those with grandchildren.
      const kept = Array.from(level.expanded.keys()).filter(
        (row) => depth === 0 || (level.expandedChildCounts[row] ?? 0) > 0,
      );
      if (kept.length > 0) {
        const shown = b.gather(outputs, b.constant("i32", kept), "shown_outputs");
        const at = b.add(b.constant("i32", new Array<number>(kept.length).fill(0)), lastPosition);
        const start = b.add(length, b.constant("i32", [slot]));
        writeKeysAndValues(b, model, names, inputNorm(b, model, shown), at, start);
        slot += kept.length;
      }
      frontier = expandedTokens(b, level, next, children, { path });
    });
  }
  return b.concat(tokens, 0, "draft.tokens");
}

/** One pass of the head over query tokens x f32[rows, D]; keys and values are in the cache already. */
function attend(
  b: GraphBuilder,
  model: BaseModel,
  x: Value,
  positions: Value,
  length: Value,
  mask: Value,
): Value {
  const type = {
    ...x.type,
    dtype: model.cacheType,
    shape: ["capacity", model.config.kvHeads, model.config.headDim],
  };
  const q = queries(b, model, names.parameters, inputNorm(b, model, x), positions);
  const operands = {
    q,
    keys: b.state("draft.k", type),
    values: b.state("draft.v", type),
    length,
    mask,
  };
  const middle = b.add(
    x,
    attendAndProject(b, model, names.parameters, operands),
    "attention_residual",
  );
  const mlpInput = rmsNorm(
    b,
    model,
    "heads.post_attention_layernorm.weight",
    middle,
    "post_attention_layernorm",
  );
  return b.add(middle, gatedMlp(b, model, "heads.mlp", mlpInput), "mlp_residual");
}

function inputNorm(b: GraphBuilder, model: BaseModel, x: Value): Value {
  return rmsNorm(b, model, "heads.input_layernorm.weight", x, "input_layernorm");
}
