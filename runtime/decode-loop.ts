import type { TreePolicy } from "../src/speculation/tree-policy.ts";
import { type TreeTopology, truncateDepth } from "../src/speculation/tree.ts";
import type { Decoder, StepInputs, StepOutcome } from "./decoder.ts";
import { eventLoopTurn } from "./event-loop.ts";

export type FinishReason = "length" | "eos" | "context";

export interface DecodeOptions extends StepInputs {
  readonly prompt: readonly number[];
  readonly maxNewTokens: number;
  /** Any of these ends the text; it is the last token given out. Empty to ignore them. */
  readonly eosTokenIds: ReadonlySet<number>;
  readonly policy: TreePolicy;
  readonly signal?: AbortSignal | undefined;
}

export interface DecodeStep {
  /** New tokens of this step, cut at the end of the text. */
  readonly tokens: readonly number[];
  readonly outcome: StepOutcome;
  /** Milliseconds the device took; of a step that followed another on the device, since that one. */
  readonly ms: number;
  /** Set on the last step. */
  readonly finish?: FinishReason;
}

export interface DecodeStart {
  readonly reusedTokens: number;
  readonly prefillMs: number;
}

interface PlayedStep {
  readonly tree: TreeTopology;
  readonly outcome: StepOutcome;
  readonly ms: number;
  /** Tokens before it. */
  readonly length: number;
}

/**
 * Prompt in, steps out. Every step commits the root and the accepted drafts; the text ends inside a
 * step at the first of: an end token, the token budget, the context limit. What it gives out is
 * what plain decoding would, whatever the trees.
 *
 * A policy that always wants the same tree lets the device go on by itself where it can.
 *
 * An aborted `signal` ends it with its reason before the next step; the decoder stays usable.
 */
export async function* decode(
  decoder: Decoder,
  options: DecodeOptions,
  onStart?: (start: DecodeStart) => void,
): AsyncGenerator<DecodeStep, void, void> {
  const { prompt, maxNewTokens, eosTokenIds, policy, signal } = options;
  const begin = performance.now();
  const reusedTokens = await decoder.start(prompt, options, signal);
  onStart?.({ reusedTokens, prefillMs: performance.now() - begin });

  let produced = 0;
  for await (const { tree, outcome, ms, length } of steps(decoder, options)) {
    policy.observe({ tree, path: outcome.path, ms, length });

    const end = outcome.committed.findIndex((token) => eosTokenIds.has(token));
    let tokens = end < 0 ? outcome.committed : outcome.committed.slice(0, end + 1);
    let finish: FinishReason | undefined = end < 0 ? undefined : "eos";
    if (produced + tokens.length >= maxNewTokens) {
      if (produced + tokens.length > maxNewTokens || finish === undefined) finish = "length";
      tokens = tokens.slice(0, maxNewTokens - produced);
    }
    produced += tokens.length;
    if (finish === undefined && decoder.room < 0) finish = "context";
    yield finish === undefined ? { tokens, outcome, ms } : { tokens, outcome, ms, finish };
    if (finish !== undefined) return;
  }
  yield {
    tokens: [],
    outcome: { tree: [], committed: [], path: [], outputs: {} },
    ms: 0,
    finish: "context",
  };
}

/** Steps over the policy's trees until the context is full. */
async function* steps(
  decoder: Decoder,
  options: DecodeOptions,
): AsyncGenerator<PlayedStep, void, void> {
  const { maxNewTokens, eosTokenIds, policy, signal } = options;
  const wantedLength = decoder.tokens.length + maxNewTokens;
  const stopTokens = [...eosTokenIds];
  const room = Number.POSITIVE_INFINITY; // caches have slots to spare for the largest tree
  for (;;) {
    await eventLoopTurn();
    signal?.throwIfAborted();
    if (decoder.room < 0) return;
    let length = decoder.tokens.length;
    const wanted = policy.next({ length, room, remaining: wantedLength - length });
    // Near the context limit only the depth counts: no token may pass the last position.
    const tree = truncateDepth(wanted, decoder.room);
    const lastLength = Math.min(wantedLength - 1, length + decoder.room - tree.maxDepth);
    let from = performance.now();
    if (policy.isFixed !== true) {
      const outcome = await decoder.step(tree, options);
      yield { tree, outcome, ms: performance.now() - from, length };
      continue;
    }
    for await (const outcome of decoder.steps(tree, options, { lastLength, stopTokens, signal })) {
      const now = performance.now();
      yield { tree, outcome, ms: now - from, length };
      from = now;
      length = decoder.tokens.length;
      await eventLoopTurn();
      signal?.throwIfAborted();
    }
  }
}
