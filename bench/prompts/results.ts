import type { Spread } from "../decode/statistics.ts";
import type { TreePath } from "../../src/speculation/tree.ts";

/** What the speculative-decoding benchmark over prompts found. */
export interface PromptsResults {
  /** Name of the prompt file, without its folder. */
  readonly file: string;
  readonly model: string;
  readonly device: string;
  readonly prompts: number;
  /** Answers given to them: one for every user turn. */
  readonly turns: number;
  /** Most new tokens of a turn. */
  readonly newTokens: number;
  /** Timed rounds over all turns. */
  readonly rounds: number;
  /** Turns whose prompt did not fit in the context, and what was done with them. */
  readonly longPrompts: { readonly rule: "truncate" | "skip"; readonly turns: number };
  /** `greedy`, or the sampling settings. */
  readonly sampling: string;
  /** Plain decoding first. */
  readonly methods: readonly MethodResults[];
}

export interface MethodResults {
  /** `plain`, or the name of the heads: `hydra-plus-plus`. */
  readonly name: string;
  readonly method: string;
  readonly tree: string;
  /** Drafted nodes of the tree: 0 for plain decoding. */
  readonly nodes: number;
  readonly overall: CategoryResults;
  readonly categories: readonly CategoryResults[];
  /** Texts that equal plain decoding's, of how many. */
  readonly same: { readonly texts: number; readonly of: number };
  /** Absent for plain decoding. */
  readonly acceptance?: MeasuredAcceptance | undefined;
  /** Trees of falling size, best for the measured acceptance; absent for plain decoding. */
  readonly sweep?: readonly SweepPoint[] | undefined;
}

export interface CategoryResults {
  /** `overall`, or the category of the prompt file. */
  readonly category: string;
  /** Turns that were answered. */
  readonly turns: number;
  readonly steps: number;
  readonly newTokens: number;
  /** Tokens committed per forward pass of the base model; plain decoding is 1.00. */
  readonly tokensPerStep: number;
  /** All new tokens of the turns over all their time, without prompts; over the rounds. */
  readonly tokensPerSecond: Spread;
  /** Over plain decoding's rate on the same turns in the same round. */
  readonly speedup: Spread;
}

/** What became of drafts. Depth 0 holds the children of the root. */
export interface MeasuredAcceptance {
  /**
   * `[depth][rank]`: how often the rank-r candidate of head d, given the right prefix, was the token
   * the base model went on with. Every position of the texts counts, whatever any tree held.
   */
  readonly table: readonly (readonly number[])[];
  /** Positions the rows of `table` are over, by depth. */
  readonly trials: readonly number[];
  /** Share of steps that committed at least d + 1 drafts, by depth d. */
  readonly survival: readonly number[];
  /** The table, and the ranks it was counted from, tried on the tree that was decoded with. */
  readonly check: AcceptanceCheck;
}

export interface AcceptanceCheck {
  /** Tokens per step the table predicts, depths taken as independent. */
  readonly expected: number;
  /** Tokens per step of a replay of the recorded ranks, which assumes nothing. */
  readonly replayed: number;
  /** Turns that took decoding as many steps as the replay, of how many. */
  readonly sameSteps: { readonly turns: number; readonly of: number };
}

export interface SweepPoint {
  /** Drafted nodes. */
  readonly nodes: number;
  readonly paths: readonly TreePath[];
  /** Tokens per step the acceptance table predicts. */
  readonly expected: number;
  /** Milliseconds of a step with this tree, over turns, where some were decoded with it. */
  readonly stepMs?: Spread | undefined;
  /**
   * Tokens per step over all turns, by replaying the recorded ranks: the steps that decoding with the
   * tree takes.
   */
  readonly tokensPerStep?: number | undefined;
  /** Of the turns decoded with it: how many took as many steps as the replay. */
  readonly sameSteps?: { readonly turns: number; readonly of: number } | undefined;
}
