import type { StepAnalysis } from "./analyse-step.ts";

/** A tree step beside plain decoding. */
export interface StepComparison {
  readonly plain: StepAnalysis;
  readonly tree: StepAnalysis;
  /** Time of the tree step over the plain step's. */
  readonly ratio: number;
  /** The same of weights and caches read: what no implementation gets below. */
  readonly byteRatio: number;
  readonly verifyRatio: number;
  /** Assumed tokens of a tree step. */
  readonly tokensPerStep: number;
  readonly tokensPerSecond: { readonly plain: number; readonly tree: number };
  /** Tokens a tree step has to give to be worth its time. */
  readonly breakEven: number;
}

/** @param tokensPerStep that the tree's steps are assumed to commit, on average. */
export function compareSteps(
  plain: StepAnalysis,
  tree: StepAnalysis,
  tokensPerStep: number,
): StepComparison {
  const read = ({ total: { weightBytes, cacheBytes } }: StepAnalysis) => weightBytes + cacheBytes;
  const verify = ({ parts }: StepAnalysis) =>
    parts.reduce((sum, { phase, time }) => sum + (phase === "verify" ? time : 0), 0);
  const ratio = tree.total.time / plain.total.time;
  return {
    plain,
    tree,
    ratio,
    byteRatio: read(tree) / read(plain),
    verifyRatio: verify(tree) / plain.total.time,
    tokensPerStep,
    tokensPerSecond: {
      plain: 1e6 / plain.total.time,
      tree: (1e6 * tokensPerStep) / tree.total.time,
    },
    breakEven: ratio,
  };
}
