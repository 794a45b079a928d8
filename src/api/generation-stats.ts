import type { FinishReason as DecodeFinish } from "../../runtime/decode-loop.ts";

/** Why a text ended: the budget, the model's end token, a stop string, or the context limit. */
export type FinishReason = DecodeFinish | "stop";

/** Figures of one generation. Times are in milliseconds. */
export interface GenerationStats {
  /** Forward passes of the base model after the prompt. */
  readonly steps: number;
  /** Tokens given out. */
  readonly newTokens: number;
  /** Tokens committed per forward pass, before the cut at the text's end; plain decoding is 1.00. */
  readonly tokensPerStep: number;
  /** Prompt tokens whose caches were reused from the call before. */
  readonly reusedTokens: number;
  /** From the call to the first token being decided. */
  readonly prefillMs: number;
  /** From there to the end: all steps and what happens between them. */
  readonly decodeMs: number;
  /** `newTokens` over `decodeMs`: the prompt is not counted. */
  readonly tokensPerSecond: number;
  /** Where it ran: `cpu`, `cuda:0`. */
  readonly device: string;
  /** The draft method; `autoregressive` where nothing was drafted. */
  readonly method: string;
  /** The seed it was sampled with, in decimal: give it again for the same text. */
  readonly seed: string;
}

/** One step of a traced generation. */
export interface TraceStep {
  /** Tokens of the tree, root first, nodes sorted by depth then path. */
  readonly tree: readonly number[];
  /** Tokens the step committed: the root and the accepted drafts. */
  readonly accepted: readonly number[];
}
