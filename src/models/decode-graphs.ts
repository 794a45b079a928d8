import { GraphBuilder, type Value } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { samplingFields } from "../ir/op.ts";
import { tensor } from "../ir/shape.ts";
import type { Drafter } from "../speculation/drafter.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { type BaseModel, type HiddenStates, llama, lmHead } from "./llama.ts";

/*
 * The two graphs of generation. Both leave the session's states in the same condition, whatever the
 * tree, so a step may use another tree than the one before:
 *
 *   length   i32[1]  committed tokens
 *   root     i32[1]  the next token: decided, not yet seen by the base model
 *   history  i32[S]  token of every slot
 *   kv.*, draft.*    caches, one row per slot; whatever a drafter remembers
 *
 * There is no LM head in the prefill: the prompt's last token is the root of the first step.
 */

/**
 * Absorbs `count` prompt tokens.
 * Inputs: tokens i32[rows], following i32[rows] (the token after each), count i32[1] ≤ rows.
 */
export function buildPrefill(model: BaseModel, drafter: Drafter): Graph {
  const b = new GraphBuilder("prefill");
  const tokens = b.input("tokens", tensor("i32", "rows"));
  const following = b.input("following", tensor("i32", "rows"));
  const count = b.input("count", tensor("i32", 1));
  const length = b.state("length", tensor("i32", 1));
  const positions = b.add(b.iota("rows"), length);
  const hidden = (model.forward ?? llama)(b, model, tokens, { positions, length });
  b.update("history", b.cacheWrite(historyState(b), tokens, length, "history"));
  absorb(b, drafter, hidden, { following, start: length, last: b.add(count, minusOne(b)) });
  b.update("length", b.add(length, count));
  return b.finish();
}

/** `match`: by draws from the base model, exact. `typical`: lossy, Medusa's rule. */
export type AcceptanceRule = "match" | "typical";

/**
 * One speculative step over a tree: draft, verify, accept, commit.
 * Inputs: sampling f32[7], seed u64[1] (see the accept ops).
 * Outputs: tree i32[size] (every node's token), path i32[P] and count i32[1] (accepted nodes, root
 * included), following i32[P] (the token after each), P = maxDepth + 1.
 */
export function buildStep(
  model: BaseModel,
  drafter: Drafter,
  tree: TreeTopology,
  rule: AcceptanceRule = "match",
): Graph {
  const b = new GraphBuilder("step");
  const pathLength = tree.maxDepth + 1;
  const length = b.state("length", tensor("i32", 1));
  const root = b.state("root", tensor("i32", 1));
  const sampling = b.input("sampling", tensor("f32", samplingFields.length));
  const seed = b.input("seed", tensor("u64", 1));

  const tokens = tree.size === 1 ? root : drafter.draft(b, tree, { root, length });

  const positions = b.add(b.constant("i32", Array.from(tree.depths)), length);
  const words = Math.ceil(tree.size / 64);
  const mask = b.constantWords(tree.ancestorMask(), [tree.size, words]);
  const hidden = (model.forward ?? llama)(b, model, tokens, { positions, length, mask });
  const logits = b.scope("verify", () => lmHead(b, model, hidden.final));
  b.update("history", b.cacheWrite(historyState(b), tokens, length, "history"));

  const parents = b.constant("i32", Array.from(tree.parents));
  const { path, count, following } = b.scope("accept", () =>
    b.accept(
      rule === "match" ? "accept_match" : "accept_typical",
      { logits, tokens, parents, length, history: historyState(b), sampling, seed },
      pathLength,
    ),
  );

  if (tree.size > 1) commitCaches(b, model, path, count, length);
  const last = b.add(count, minusOne(b));
  const accepted = (x: Value) => b.gather(x, path, "accepted_rows");
  absorb(
    b,
    drafter,
    {
      layerInputs: drafter.hiddenStateOffset > 0 ? hidden.layerInputs.map(accepted) : [],
      final: accepted(hidden.final),
    },
    { following, start: length, last },
  );
  b.update("root", b.gather(following, last));
  b.update("length", b.add(length, count));
  b.output("tree", tokens);
  b.output("path", path);
  b.output("count", count);
  b.output("following", following);
  return b.finish();
}

/** Moves the accepted rows of the base caches together. A drafter writes its own rows in `absorb`. */
function commitCaches(
  b: GraphBuilder,
  model: BaseModel,
  path: Value,
  count: Value,
  length: Value,
): void {
  const { layers, kvHeads, headDim } = model.config;
  const type = tensor(model.cacheType, "capacity", kvHeads, headDim);
  const names = Array.from({ length: layers }, (_, layer) => [
    `kv.${layer}.k`,
    `kv.${layer}.v`,
  ]).flat();
  for (const name of names)
    b.update(name, b.cacheCommit(b.state(name, type), path, count, length, `commit.${name}`));
  b.update("history", b.cacheCommit(historyState(b), path, count, length, "commit.history"));
}

function absorb(
  b: GraphBuilder,
  drafter: Drafter,
  { layerInputs, final }: HiddenStates,
  rows: { following: Value; start: Value; last: Value },
): void {
  const hidden =
    drafter.hiddenStateOffset === 0 ? final : layerInputs.at(-drafter.hiddenStateOffset);
  if (hidden === undefined)
    throw new RangeError(
      `hidden_state_offset ${drafter.hiddenStateOffset} is deeper than the model`,
    );
  drafter.absorb(b, { hidden, ...rows });
}

function historyState(b: GraphBuilder): Value {
  return b.state("history", tensor("i32", "capacity"));
}

function minusOne(b: GraphBuilder): Value {
  return b.constant("i32", [-1]);
}
