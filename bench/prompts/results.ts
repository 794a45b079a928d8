import type { Spread } from "../decode/statistics.ts";
import type { TreePath } from "../../src/speculation/tree.ts";

/** What the speculative-decoding benchmark over prompts found. */
export interface PromptsResults {
  /** Name of the prompt file, without its folder. */
  readonly file: string;
  readonly model: string;
  readonly device: string;
  readonly prompts: number;
  /** Most new tokens of a turn. */
  readonly newTokens: number;
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
  /** Of the turns. */
  readonly tokensPerSecond: Spread;
  /** Over plain decoding's rate on the same turns. */
  readonly speedup: Spread;
}

/** What became of drafts. Depth 0 holds the children of the root. */
export interface MeasuredAcceptance {
  /**
   * `[depth][rank]`: how often the rank-r candidate of an accepted node was the next token, whether
   * or not the tree held that candidate (specs: accuracy given the right prefix).
   */
  readonly table: readonly (readonly number[])[];
  /** Accepted nodes the rows of `table` are over, by depth. */
  readonly trials: readonly number[];
  /** Share of steps that committed at least d + 1 drafts, by depth d. */
  readonly survival: readonly number[];
}

export interface SweepPoint {
  /** Drafted nodes. */
  readonly nodes: number;
  readonly paths: readonly TreePath[];
  /** Tokens per step the acceptance table predicts. */
  readonly expected: number;
  /** Milliseconds of a step with this tree, where it was timed. */
  readonly stepMs?: Spread | undefined;
  /** Measured by decoding with the tree, where that was done. */
  readonly tokensPerStep?: number | undefined;
}
