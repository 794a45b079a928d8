import type { GraphBuilder, Value } from "../ir/builder.ts";
import type { TreeTopology } from "./tree.ts";

/**
 * A draft method, as graph code. One file implements this and nothing else needs to change.
 *
 * A drafter keeps what it must remember in states of its own (`draft.…`). After every pass of the
 * base model `absorb` shows it the committed rows; at the start of the next step `draft` fills a
 * token tree. Position p holds token x_p; the base model's hidden state h_p predicts x_{p+1}.
 */
export interface Drafter {
  /** As in `--method` and in statistics: `hydra`, `medusa`. */
  readonly name: string;
  /** Other names `--method` takes for it, such as that of its family. */
  readonly aliases?: readonly string[];
  /** Deepest tree it can fill; infinite for heads that are applied recurrently. */
  readonly maxDepth: number;
  /** Which hidden state it reads: 0 the normed output, k > 0 the input of the k-th last layer. */
  readonly hiddenStateOffset: number;
  /** Brings the drafter's states up to the last committed token. */
  absorb(b: GraphBuilder, rows: CommittedRows): void;
  /** Tokens of all nodes, i32[tree.size], in tree order, the root first. */
  draft(b: GraphBuilder, tree: TreeTopology, step: DraftStep): Value;
}

export interface CommittedRows {
  /** Hidden states f32[rows, D]. Rows after `last` are padding: harmless, never read. */
  readonly hidden: Value;
  /** The token after each row's token, i32[rows]; after the last row, the next step's root. */
  readonly following: Value;
  /** Position (and cache slot) of the first row, i32[1]. */
  readonly start: Value;
  /** Index of the last real row, i32[1]. */
  readonly last: Value;
}

export interface DraftStep {
  /** The token at the root, i32[1]: already decided, not yet seen by the base model. */
  readonly root: Value;
  /** Committed tokens before the root = the root's position, i32[1]. */
  readonly length: Value;
  /**
   * Tokens after the root that are known already, i32[maxDepth]; only where ranks are measured. Every
   * expanded node of depth d then stands for token d - 1 of these instead of a drafted one, so that
   * its children are proposed given the right prefix.
   */
  readonly path?: Value | undefined;
}
