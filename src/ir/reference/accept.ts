import {
  argmax,
  greedySampling,
  type LogitsRow,
  noChoice,
  Sampler,
  type SamplingParams,
} from "./sampling.ts";

/**
 * A drafted token tree: node 0 is the root, whose token is committed whatever happens; a parent
 * comes before its children, shallower nodes before deeper ones. An entry of `parents` below 0
 * (other than the root's -1) is padding: never accepted.
 */
export interface TokenTree {
  /** Node index of each node's parent, [N]; -1 for the root. */
  readonly parents: Int32Array;
  /** Token id of each node, [N]. */
  readonly tokens: Int32Array;
}

/** The base model's logits [V] after a node. Called for visited nodes only, once each. */
export type LogitsOf = (node: number) => LogitsRow;

export interface AcceptedPath {
  /** Accepted nodes, root first: one more than the number of accepted drafts. */
  readonly path: readonly number[];
  /** The token after the last accepted node: the next step's root. */
  readonly next: number;
}

/** Where the tree stands in the sequence. */
export interface RootContext {
  /** Absolute position of the root = number of tokens before it. */
  readonly length: number;
  /** The tokens before the root, for the repetition penalty; may be left out when that is off. */
  readonly committed?: Iterable<number>;
}

/**
 * Sample-and-match: at each node from the root on, draw the next token as plain decoding would; go
 * on with the child that holds it (the first, if several do), or stop. At temperature 0 this is greedy
 * acceptance. One draw per visited node, keyed by the position the token will take
 * (length + depth + 1), so the tokens are those of plain decoding with the same seed, whatever
 * the tree.
 */
export function acceptMatch(
  { parents, tokens }: TokenTree,
  logitsOf: LogitsOf,
  params: SamplingParams,
  { length, committed = [] }: RootContext,
  sampler = new Sampler(),
): AcceptedPath {
  const penalised = params.repetitionPenalty !== 1;
  if (penalised) {
    sampler.forget();
    for (const token of committed) sampler.see(token);
  }
  const path = [0];
  for (let node = 0; ; ) {
    if (penalised) sampler.see(tokens[node] ?? 0);
    const next = sampler.draw(logitsOf(node), params, length + path.length);
    let child = node + 1;
    while (child < parents.length && !(parents[child] === node && tokens[child] === next)) child++;
    if (child >= parents.length) return { path, next };
    path.push(child);
    node = child;
  }
}

export interface TypicalParams {
  /** Softmax temperature of the test; 0 makes the rule greedy. */
  readonly temperature: number;
  /** ε: a token this probable always passes. */
  readonly posteriorThreshold: number;
  /** α: scales exp(-entropy), the threshold where the model is unsure. */
  readonly posteriorAlpha: number;
}

/**
 * Typical acceptance of Medusa (2401.10774, section 2.3.1), as Hydra computes it. Lossy: a drafted
 * token x passes when p(x) > min(ε, α·exp(-H)), p = softmax(logits / temperature) after its parent,
 * H = -Σ p·ln(p + 1e-5). The longest path of passing nodes wins; among equals the one with the largest
 * Σ ln p, then the one met first going through the leaves from last to first. The token after it is
 * the argmax of its logits, the lowest id on ties.
 * @throws HydrantError `sampling/no-choice` as in `Sampler.draw`.
 */
export function acceptTypical(
  tree: TokenTree,
  logitsOf: LogitsOf,
  params: TypicalParams,
): AcceptedPath {
  if (params.temperature === 0) return acceptMatch(tree, logitsOf, greedySampling, { length: 0 });
  const { parents, tokens } = tree;
  const size = parents.length;
  const leaves = lastLeaves(parents);
  /** Length in nodes of the passing path that ends at a node, 0 where the node does not pass. */
  const lengths = new Int32Array(size);
  const scores = new Float64Array(size);
  lengths[0] = 1;
  let best = 0;
  let next = -1;
  for (let node = 0; node < size; node++) {
    const length = lengths[node] ?? 0;
    if (length === 0) continue;
    const row = logitsOf(node);
    const following = argmax(row);
    if (following < 0) throw noChoice(row.length);
    const gain =
      length - (lengths[best] ?? 0) ||
      (scores[node] ?? 0) - (scores[best] ?? 0) ||
      (leaves[node] ?? 0) - (leaves[best] ?? 0);
    if (node === 0 || gain > 0) {
      best = node;
      next = following;
    }
    if (leaves[node] === node) continue;
    const probabilities = softmax(row, following, params.temperature);
    const threshold = typicalThreshold(probabilities, params);
    for (let child = node + 1; child < size; child++) {
      const probability = probabilities[tokens[child] ?? 0] ?? 0;
      if (parents[child] !== node || !(probability > threshold)) continue;
      lengths[child] = length + 1;
      scores[child] = (scores[node] ?? 0) + Math.log(probability);
    }
  }
  const path: number[] = [];
  for (let node = best; node >= 0; node = parents[node] ?? -1) path.unshift(node);
  return { path, next };
}

/** The last leaf at or below each node, [N]. */
function lastLeaves(parents: Int32Array): Int32Array {
  const leaves = Int32Array.from(parents, (_, node) => node);
  // Children come after their parent: going down, a node's own entry is final when it is read.
  for (let node = parents.length - 1; node > 0; node--) {
    const parent = parents[node] ?? -1;
    if (parent >= 0) leaves[parent] = Math.max(leaves[parent] ?? 0, leaves[node] ?? 0);
  }
  return leaves;
}

function softmax(row: LogitsRow, best: number, temperature: number): Float64Array {
  const largest = row[best] ?? 0;
  const probabilities = new Float64Array(row.length);
  let total = 0;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    // Equal to the largest: 1 even where infinities would subtract to NaN.
    const weight = logit === largest ? 1 : Math.exp((logit - largest) / temperature) || 0;
    probabilities[id] = weight;
    total += weight;
  }
  for (let id = 0; id < probabilities.length; id++) {
    probabilities[id] = (probabilities[id] ?? 0) / total;
  }
  return probabilities;
}

function typicalThreshold(
  probabilities: Float64Array,
  { posteriorThreshold, posteriorAlpha }: TypicalParams,
): number {
  let entropy = 0;
  for (let id = 0; id < probabilities.length; id++) {
    const p = probabilities[id] ?? 0;
    entropy -= p * Math.log(p + 1e-5);
  }
  return Math.min(posteriorThreshold, posteriorAlpha * Math.exp(-entropy));
}
