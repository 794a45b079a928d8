import { rootOnly, type TreeTopology } from "./tree.ts";

/** What a policy may look at before a step. */
export interface StepContext {
  /** Tokens before the root. */
  readonly length: number;
  /** Cache slots left from the root's on: a step needs one per node of its tree. */
  readonly room: number;
  /** Tokens still wanted; a step yields its accepted drafts and one more. */
  readonly remaining: number;
}

/** What a step turned out to be. */
export interface StepResult {
  readonly tree: TreeTopology;
  /** Accepted nodes, root first. */
  readonly path: readonly number[];
  /** Wall time of the whole step in milliseconds, drafting included. */
  readonly ms: number;
  /** Tokens before the root, as in the step's context. */
  readonly length: number;
}

/**
 * Chooses the tree of each step. Every choice gives the same tokens under a lossless acceptance rule;
 * the choice only decides how fast.
 */
export interface TreePolicy {
  /** Every tree `next` may return, so that an engine can prepare them. */
  readonly trees: readonly TreeTopology[];
  /** Says that the choice learns from nothing: several steps may be played before it is asked again. */
  readonly isFixed?: boolean;
  /** The tree of the next step. It fits `context.room`. */
  next(context: StepContext): TreeTopology;
  /** To be called after every step, in order. */
  observe(result: StepResult): void;
}

/** Always the same tree; plain decoding where it does not fit. */
export function fixedPolicy(tree: TreeTopology): TreePolicy {
  return {
    trees: tree.size === 1 ? [tree] : [rootOnly, tree],
    isFixed: true,
    next: ({ room }) => (tree.size <= room ? tree : rootOnly),
    observe: () => {},
  };
}
