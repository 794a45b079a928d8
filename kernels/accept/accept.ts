import { samplingFields } from "../../src/ir/op.ts";
import type { BufferId, Target } from "../../src/ir/program.ts";
import { type Allocator, type Elements, type KernelCall, KernelEntry } from "../entry.ts";

/** Operands and results of `accept_match` and `accept_typical` (src/ir/op.ts). */
export interface AcceptOp {
  readonly rule: AcceptRule;
  /** f32 [nodes, vocabulary], read only where `needsLogits` holds. */
  readonly logits: BufferId;
  /** f32 and i32 [nodes][tiles]: the best logit of each tile of `tileWidth` ids, as the LM head left them. */
  readonly partialValues: BufferId;
  readonly partialIds: BufferId;
  readonly tiles: number;
  readonly tileWidth: number;
  /** At most 2^18. */
  readonly vocabulary: number;
  /** At most 2048. */
  readonly nodes: number;
  /** i32 [nodes] */
  readonly tokens: Elements;
  /** i32 [nodes], each below its node; -1 for the root, negative for padding. */
  readonly parents: Elements;
  /** i32 [1], the root's position. */
  readonly length: Elements;
  /** i32, token of every slot. */
  readonly history: Elements;
  /** f32 [7], in the order of `samplingFields`. */
  readonly sampling: Elements;
  /** u64 [1] */
  readonly seed: Elements;
  /** Nodes on the longest path from the root. */
  readonly pathLength: number;
  /** i32 [pathLength] */
  readonly path: BufferId;
  /** i32 [1] */
  readonly count: BufferId;
  /** i32 [pathLength] */
  readonly following: BufferId;
  readonly label: string;
}

export type AcceptRule = "match" | "typical";

/** Tokens that a warp weighs at a time: `kChunk` in kernels/accept/logits.cuh. */
const chunkTokens = 256;
/** Candidates of a chunk that are listed: `kSlots` in kernels/accept/cut.cuh. */
const chunkSlots = 32;
const maxVocabulary = 2 ** 18;
const maxNodes = 2048;

/**
 * The accept ops. All nodes at once, and several blocks to a node's row of logits, find what plain
 * decoding would draw after it (`match`, which is one launch: the last block walks the tree) or which
 * of its children pass (`typical`: weights, gains and the walk). Results are pure functions of the
 * node's logits, its ancestors and its position; how many blocks share a row does not matter.
 *
 * Where a visited node has no logit above -Infinity the count is 0, with zeros for the path: the
 * error `sampling/no-choice` of the reference, which the host has to raise.
 *
 * Weights of the softmax are right to 2e-9 and added up exactly, and penalised logits are rounded to
 * f32: draws are those of the f64 reference but for uniform numbers that close to a boundary.
 * @throws RangeError for a tree or a vocabulary that is too large.
 */
export function accept(
  op: AcceptOp,
  target: Pick<Target, "multiprocessors">,
  memory: Allocator,
): KernelCall[] {
  const { nodes, vocabulary, label } = op;
  if (nodes > maxNodes) throw new RangeError(`acceptance of ${nodes} nodes`);
  if (vocabulary > maxVocabulary) throw new RangeError(`acceptance from ${vocabulary} tokens`);
  const scratch = {
    draws: memory.scratch(nodes * 4, `${label}: draws`),
    masses: memory.scratch(nodes * chunksOf(op) * 8, `${label}: masses`),
  };
  switch (op.rule) {
    case "match":
      return [sampleCall(op, target, scratch, memory)];
    case "typical": {
      const gains = memory.scratch(nodes * 8, `${label}: gains`);
      return [
        typicalWeightsCall(op, target, scratch),
        typicalGainsCall(op, target, scratch, gains, memory),
        walkTypicalCall(op, scratch.draws, gains),
      ];
    }
    default:
      return op.rule satisfies never;
  }
}

interface Scratch {
  /** i32 [nodes] */
  readonly draws: BufferId;
  /** u64 [nodes][chunks]: sums of softmax weights. */
  readonly masses: BufferId;
}

const chunksOf = ({ vocabulary }: AcceptOp): number => Math.ceil(vocabulary / chunkTokens);

/**
 * Blocks that share a row: two to a multiprocessor in all, as many as it holds, while each of their
 * warps has a chunk.
 */
export function partsOfRow(
  nodes: number,
  vocabulary: number,
  { multiprocessors }: Pick<Target, "multiprocessors">,
): number {
  const most = Math.ceil(vocabulary / (chunkTokens * (threadsFor(vocabulary) / 32)));
  return Math.max(1, Math.min(most, Math.floor((2 * multiprocessors) / nodes)));
}

/** Half as many where that leaves no warp without a chunk. */
const threadsFor = (vocabulary: number): number => (vocabulary > 16 * chunkTokens ? 512 : 256);

/**
 * C++ for whether a step with these settings reads whole rows of logits. Without a temperature and
 * a penalty the largest logit decides, and each tile's best is enough.
 */
export function needsLogits(rule: AcceptRule, sampling: Elements): (entry: KernelEntry) => string {
  return (entry) => {
    const field = samplingField(sampling, entry);
    const warm = `${field("temperature")} > 0.0f`;
    return rule === "match" ? `(${warm} || ${field("repetitionPenalty")} != 1.0f)` : `(${warm})`;
  };
}

type SamplingField = (typeof samplingFields)[number];

function samplingField(sampling: Elements, entry: KernelEntry): (name: SamplingField) => string {
  const at = sampling(entry);
  return (name) => at(String(samplingFields.indexOf(name)));
}

function newEntry(): KernelEntry {
  const entry = new KernelEntry("accept");
  entry.reserve("node", "slot", "settings", "out");
  return entry;
}

/** What the kernels over rows have in common. */
function rowKernel(op: AcceptOp, target: Pick<Target, "multiprocessors">, entry: KernelEntry) {
  const { vocabulary, nodes, tiles, tileWidth } = op;
  const field = samplingField(op.sampling, entry);
  const logits = entry.buffer("logits", op.logits, "float", "read");
  const threads = threadsFor(vocabulary);
  return {
    logits,
    sampling: `const Sampling settings{${samplingFields.map(field).join(", ")}};`,
    best: () =>
      [
        entry.buffer("best_values", op.partialValues, "float", "read"),
        entry.buffer("best_ids", op.partialIds, "int", "read"),
      ].join(", "),
    text: {
      config: `
struct Config {
  static constexpr int kVocabulary = ${vocabulary};
  static constexpr int kTiles = ${tiles};
  static constexpr int kTileWidth = ${tileWidth};
  static constexpr int kThreads = ${threads};
};`,
      threads,
      minBlocks: 2,
      grid: [partsOfRow(nodes, vocabulary, target), nodes, 1],
      label: op.label,
      traffic: {
        weightBytes: 0,
        readBytes: nodes * tiles * 8,
        writtenBytes: nodes * 4,
        flops: 0,
      },
    },
  } as const;
}

function sampleCall(
  op: AcceptOp,
  target: Pick<Target, "multiprocessors">,
  scratch: Scratch,
  memory: Allocator,
): KernelCall {
  const { vocabulary, nodes, label } = op;
  const entry = newEntry();
  const { logits, best, sampling, text } = rowKernel(op, target, entry);
  const tree = treeOf(op, entry);
  const [history, length] = [op.history(entry)("slot"), op.length(entry)("0")];
  const seed = op.seed(entry)("0");
  const chunks = nodes * chunksOf(op);
  const [summaries, lists] = [4 * chunks, 8 * chunkSlots * chunks];
  const work = [
    entry.buffer("masses", scratch.masses, "u64", "write"),
    entry.buffer("summaries", memory.scratch(summaries, `${label}: chunks`), "u32", "write"),
    entry.buffer("lists", memory.scratch(lists, `${label}: candidates`), "Candidate", "write"),
    entry.buffer("counters", memory.counters(nodes + 1, `${label}: blocks`), "int", "update"),
    entry.buffer("draws", scratch.draws, "int", "write"),
  ];
  return entry.finish({
    ...text,
    name: `accept_sample_${vocabulary}`,
    comment: `Draws a token after each node of a tree from ${vocabulary} logits and walks by them.`,
    includes: ["kernels/accept/sample.cuh"],
    body: `
${sampling}
${pathOf(op, entry)}
sample<Config>(${logits}, ${best()}, settings, ${seed}, ${tree.nodes}, ${length},
               ${tree.token}, ${tree.parent},
               [&](int slot) { return ${history}; }, ${work.join(", ")}, out);`,
    sharedBytes: Math.max(Math.ceil(vocabulary / 32) * 4, maxNodes * 8),
  });
}

function typicalWeightsCall(
  op: AcceptOp,
  target: Pick<Target, "multiprocessors">,
  scratch: Scratch,
): KernelCall {
  const { vocabulary } = op;
  const entry = newEntry();
  const { logits, best, sampling, text } = rowKernel(op, target, entry);
  const tree = treeOf(op, entry);
  const masses = entry.buffer("masses", scratch.masses, "u64", "write");
  const draws = entry.buffer("draws", scratch.draws, "int", "write");
  return entry.finish({
    ...text,
    name: `accept_typical_weights_${vocabulary}`,
    comment: `Softmax weights of ${vocabulary} logits after each node of a tree, in sums, and the best token.`,
    includes: ["kernels/accept/typical.cuh"],
    body: `
${sampling}
typical_weights<Config>(${logits}, ${best()}, settings, ${tree.parent}, ${masses}, ${draws});`,
  });
}

function typicalGainsCall(
  op: AcceptOp,
  target: Pick<Target, "multiprocessors">,
  scratch: Scratch,
  gains: BufferId,
  memory: Allocator,
): KernelCall {
  const { vocabulary, nodes, label } = op;
  const entry = newEntry();
  const { logits, sampling, text } = rowKernel(op, target, entry);
  const tree = treeOf(op, entry);
  const entropies = memory.scratch(nodes * chunksOf(op) * 8, `${label}: entropies`);
  const work = [
    entry.buffer("draws", scratch.draws, "int", "read"),
    entry.buffer("masses", scratch.masses, "u64", "read"),
    entry.buffer("entropies", entropies, "u64", "write"),
    entry.buffer("counters", memory.counters(nodes, `${label}: blocks`), "int", "update"),
    entry.buffer("gains", gains, "double", "write"),
  ];
  return entry.finish({
    ...text,
    name: `accept_typical_gains_${vocabulary}`,
    comment: `Which nodes of a tree pass the typical rule, from ${vocabulary} logits of their parents.`,
    includes: ["kernels/accept/typical.cuh"],
    body: `
${sampling}
typical_gains<Config>(${logits}, settings, ${tree.nodes}, ${tree.token}, ${tree.parent}, ${work.join(", ")});`,
  });
}

/** The tree as C++: how many nodes, and functors for their tokens and parents. */
function treeOf(op: AcceptOp, entry: KernelEntry) {
  const nodes = entry.i32("nodes", op.nodes);
  const [token, parent] = [op.tokens(entry)("node"), op.parents(entry)("node")];
  return {
    nodes,
    token: `[&](int node) { return ${token}; }`,
    parent: `[&](int node) { return ${parent}; }`,
  };
}

/** The results as C++. */
function pathOf(op: AcceptOp, entry: KernelEntry): string {
  const fields = [
    entry.i32("path_length", op.pathLength),
    entry.buffer("path", op.path, "int", "write"),
    entry.buffer("count", op.count, "int", "write"),
    entry.buffer("following", op.following, "int", "write"),
  ];
  return `const AcceptedPath out{${fields.join(", ")}};`;
}

function walkTypicalCall(op: AcceptOp, draws: BufferId, gains: BufferId): KernelCall {
  const { nodes, pathLength } = op;
  // By powers of two: trees of like size share a kernel.
  const capacity = Math.max(64, 2 ** Math.ceil(Math.log2(nodes)));
  const entry = newEntry();
  const tree = treeOf(op, entry);
  const temperature = samplingField(op.sampling, entry)("temperature");
  const from = entry.buffer("draws", draws, "int", "read");
  const by = entry.buffer("gains", gains, "double", "read");
  const rest = `${tree.nodes}, ${tree.token}, ${tree.parent}, out`;
  return entry.finish({
    name: `accept_walk_typical_${capacity}`,
    comment:
      "Finds the longest path of passing nodes in a token tree; greedy at a temperature of 0.",
    includes: ["kernels/accept/walk.cuh"],
    config: "",
    body: `
${pathOf(op, entry)}
__shared__ WalkShared<${capacity}> shared;
if (${temperature} == 0.0f) {
  walk_match<32>(${from}, ${rest}, shared.tree);
} else {
  walk_typical<${capacity}>(${from}, ${by}, ${rest}, shared);
}`,
    threads: 32,
    grid: [1, 1, 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: nodes * 12,
      writtenBytes: pathLength * 8 + 4,
      flops: 0,
    },
  });
}
