import type { InspectedTree } from "./inspection.ts";

/** A generation step by step, as `generate --inspect` records it. Times are in milliseconds. */
export interface RecordedGeneration {
  /** Version of hydrant that made it. */
  readonly version: string;
  /** ISO date and time. */
  readonly made: string;
  readonly model: string;
  readonly heads?: string | undefined;
  readonly method: string;
  readonly device: string;
  /** Sampling settings worth showing, in order; none for greedy decoding. */
  readonly sampling: readonly { readonly name: string; readonly value: string }[];
  /** The prompt as text; absent when tokens were given to a model without a tokenizer. */
  readonly prompt?: string | undefined;
  readonly promptTokens: number;
  /** Prompt tokens an earlier generation left in the caches. */
  readonly reusedTokens: number;
  readonly finishReason: string;
  readonly prefillMs: number;
  /** All steps and what happens between them. */
  readonly decodeMs: number;
  /** Every tree that was used. */
  readonly trees: readonly InspectedTree[];
  /** Text of every token that occurs, by id; empty without a tokenizer. */
  readonly texts: Readonly<Record<string, string>>;
  readonly steps: readonly RecordedStep[];
}

/** One step of a recorded generation: what its tree held and what became of it. */
export interface RecordedStep {
  /** Index into `trees`. */
  readonly tree: number;
  /** Token of each node. */
  readonly tokens: readonly number[];
  /** Nodes that were committed, root first. */
  readonly path: readonly number[];
  /** Tokens given out: fewer than `path` holds where the text ends inside a step. */
  readonly given: number;
  /**
   * What each token given out added to the text. A character or a stop string in the making is held
   * back for a later token. Absent without a tokenizer.
   */
  readonly pieces?: readonly string[] | undefined;
  /** The device's share of the step, launch to outputs. */
  readonly ms: number;
}
