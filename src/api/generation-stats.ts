import type { FinishReason as DecodeFinish } from "../../runtime/decode-loop.ts";

/** Why a text ended: the budget, the model's end token, a stop string, or the context limit. */
export type FinishReason = DecodeFinish | "stop";

export interface GenerationStats {
  /** Forward passes of the base model after the prompt. */
  readonly steps: number;
  readonly newTokens: number;
  /** Tokens committed per forward pass, before the cut at the text's end; plain decoding is 1.00. */
  readonly tokensPerStep: number;
  /** Prompt tokens whose caches were reused from the call before. */
  readonly reusedTokens: number;
  /** From the call to the first token being decided. */
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly tokensPerSecond: number;
  readonly device: string;
  readonly method: string;
  readonly seed: string;
}

/** One step of a traced generation. */
export interface TraceStep {
  /** Tokens of the tree, root first, nodes sorted by depth then path. */
  readonly tree: readonly number[];
  /** Tokens the step committed: the root and the accepted drafts. */
  readonly accepted: readonly number[];
}
