import {
  AcceptanceEstimate,
  type AcceptanceTable,
  expectedTokens,
  priorAcceptance,
} from "./acceptance-table.ts";
import { type CostModel, StepCosts } from "./step-costs.ts";
import { rootOnly, type TreeTopology } from "./tree.ts";
import type { StepContext, StepResult, TreePolicy } from "./tree-policy.ts";

export interface AutoPolicyOptions {
  /** Trees to choose from; plain decoding is always among them. */
  readonly candidates: readonly TreeTopology[];
  /**
   * Measured step costs, fed by `observe`. A tree whose cost is unknown is not played, so measure
   * the candidates (and plain decoding) before the first generation.
   */
  readonly costs?: CostModel;
  /** Acceptance assumed at first. */
  readonly prior?: AcceptanceTable;
  /** Share of plain decoding's time that speculation may lose in the long run; default 0.02. */
  readonly overhead?: number;
  /** Plain steps' worth of time it may lose on top, once; default 1. */
  readonly grace?: number;
  /** Least weight of one trial in the acceptance estimate; default 0.02. */
  readonly rate?: number;
  /**
   * A tree is played for a gain of at least this share only; default 0.1. Costs are measured with one
   * tree at a time, and changing between trees costs some more (caches, branch predictors).
   */
  readonly margin?: number;
  /** Steps after which plain decoding is timed again; default 96. */
  readonly refresh?: number;
}

export interface AutoPolicy extends TreePolicy {
  /** The current estimate. */
  readonly acceptance: AcceptanceTable;
  /** Time speculation may still lose, in plain steps. */
  readonly credit: number;
}

/** Credit from good times is kept up to this many plain steps: what a turn of the text may cost. */
const MOST_CREDIT = 8;
/** A step this many times slower than usual was held up by the machine, not by its tree. */
const HICCUP = 2;
/** Plain steps after a tree before one counts as a measure of plain decoding: caches must be its own again. */
const SETTLING_STEPS = 2;
const SHORTEST_PROBE_INTERVAL = 4;
const LONGEST_PROBE_INTERVAL = 64;

/**
 * Takes the tree with the most expected tokens per measured millisecond, E(T) / t(T), and is never
 * noticeably slower than plain decoding: a ledger compares the time spent with the time the same
 * tokens would have taken one by one, and a tree is played only if, were none of its drafts
 * accepted, the total would still be within `overhead` of plain decoding plus `grace` plain steps.
 * The ledger holds the time steps took, plain ones after a tree included (a tree leaves the caches
 * full of its own weights), less what looks like a hiccup of the machine.
 *
 * While plain decoding looks better the best tree is still tried from time to time, at intervals that
 * double from 4 to 64 steps, or the policy would not notice that the text has become easy.
 * Deterministic: the same observations give the same trees.
 */
export function autoPolicy(options: AutoPolicyOptions): AutoPolicy {
  return new MeasuredPolicy(options);
}

class MeasuredPolicy implements AutoPolicy {
  readonly trees: readonly TreeTopology[];
  readonly #candidates: readonly TreeTopology[];
  readonly #costs: CostModel;
  readonly #estimate: AcceptanceEstimate;
  readonly #overhead: number;
  readonly #refresh: number;
  readonly #margin: number;
  #credit: number;
  /** Since plain decoding was last timed; a text begins with that, as costs may be from a busier time. */
  #stepsSincePlain = Number.POSITIVE_INFINITY;
  #plainRun = 0;
  #probeInterval = SHORTEST_PROBE_INTERVAL;

  constructor(options: AutoPolicyOptions) {
    this.#candidates = options.candidates.filter((tree) => tree.size > 1);
    this.trees = [rootOnly, ...this.#candidates];
    const depths = Math.max(0, ...this.#candidates.map((tree) => tree.maxDepth));
    this.#costs = options.costs ?? new StepCosts();
    this.#estimate = new AcceptanceEstimate(
      options.prior ?? priorAcceptance(depths),
      options.rate ?? 0.02,
    );
    this.#overhead = options.overhead ?? 0.02;
    this.#credit = options.grace ?? 1;
    this.#refresh = options.refresh ?? 96;
    this.#margin = options.margin ?? 0.1;
  }

  get acceptance(): AcceptanceTable {
    return this.#estimate.table;
  }

  get credit(): number {
    return this.#credit;
  }

  next(context: StepContext): TreeTopology {
    const plainMs = this.#costs.of(rootOnly, context.length);
    if (plainMs === undefined || this.#stepsSincePlain >= this.#refresh) return rootOnly;
    // A step commits at least its root: it may cost that much and the credit.
    const affordableMs = plainMs * (this.#credit + 1 + this.#overhead);
    const worthwhile = (1 + this.#margin) / plainMs;
    const best = this.#bestCandidate(context, affordableMs, worthwhile);
    if (best === undefined) return rootOnly;
    if (best.tokensPerMs > worthwhile) {
      this.#probeInterval = SHORTEST_PROBE_INTERVAL;
      return best.tree;
    }
    if (this.#plainRun < this.#probeInterval) return rootOnly;
    this.#probeInterval = Math.min(2 * this.#probeInterval, LONGEST_PROBE_INTERVAL);
    return best.tree;
  }

  observe({ tree, path, ms, length }: StepResult): void {
    const plain = tree.size === 1;
    const settled =
      this.#plainRun >= SETTLING_STEPS || this.#costs.of(rootOnly, length) === undefined;
    if (!plain || settled) this.#costs.record(tree, length, ms);
    this.#stepsSincePlain = plain && settled ? 0 : this.#stepsSincePlain + 1;
    this.#plainRun = plain ? this.#plainRun + 1 : 0;
    this.#estimate.observe(tree, path);
    const plainMs = this.#costs.of(rootOnly, length);
    if (plainMs === undefined) return;
    const modelled = this.#costs.of(tree, length) ?? ms;
    const spent = Math.min(ms, HICCUP * modelled) / plainMs;
    this.#credit = Math.min(MOST_CREDIT, this.#credit + path.length * (1 + this.#overhead) - spent);
  }

  #bestCandidate(
    { length, room, remaining }: StepContext,
    affordableMs: number,
    worthwhile: number,
  ) {
    let best: { tree: TreeTopology; ms: number; tokensPerMs: number } | undefined;
    for (const tree of this.#candidates) {
      const ms = this.#costs.of(tree, length);
      if (ms === undefined || ms > affordableMs || tree.size > room || remaining <= 1) continue;
      // Not worth a try if it would not pay with every draft accepted.
      if (tree.maxDepth + 1 < worthwhile * ms) continue;
      const tokensPerMs = expectedTokens(tree, this.acceptance, remaining - 1) / ms;
      if (best === undefined || tokensPerMs > best.tokensPerMs) best = { tree, ms, tokensPerMs };
    }
    return best;
  }
}
