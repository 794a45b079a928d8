import { samplingFields } from "../../src/ir/op.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { type Allocator, type Elements, type KernelCall, KernelEntry } from "../entry.ts";
import { rowThreads } from "../row-threads.ts";

/** Operands and results of `accept_match` and `accept_typical` (src/ir/op.ts). */
export interface AcceptOp {
  readonly rule: AcceptRule;
  /** f32 [nodes, vocabulary]; with tiles' best, read only where `needsLogits` holds. */
  readonly logits: BufferId;
  /** f32 and i32 [nodes][tiles]: the best logit of each tile, where the LM head left them. */
  readonly partialValues?: BufferId | undefined;
  readonly partialIds?: BufferId | undefined;
  readonly tiles?: number | undefined;
  readonly vocabulary: number;
  /** At most 2048 with the typical rule. */
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

/**
 * The accept ops in two launches. First a block per node finds what plain decoding would draw after
 * it (`match`) or which of its children pass (`typical`), all nodes at once; then a warp walks the tree.
 * Both are pure functions of the node's logits, its ancestors and its position.
 *
 * Where a visited node has no logit above -Infinity the count is 0, with zeros for the path: the
 * error `sampling/no-choice` of the reference, which the host has to raise.
 *
 * Weights of the softmax are right to 2e-9 and added up exactly, and penalised logits are rounded to
 * f32: draws are those of the f64 reference but for uniform numbers that close to a boundary.
 */
export function accept(op: AcceptOp, memory: Allocator): KernelCall[] {
  const { nodes, label } = op;
  const draws = memory.scratch(nodes * 4, `${label}: draws`);
  switch (op.rule) {
    case "match":
      return [sampleCall(op, draws, memory), matchCall(op, draws)];
    case "typical": {
      const gains = memory.scratch(nodes * 8, `${label}: gains`);
      return [typicalCall(op, draws, gains), walkTypicalCall(op, draws, gains)];
    }
    default:
      return op.rule satisfies never;
  }
}

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

/** What both kernels over nodes have in common. */
function nodeKernel(op: AcceptOp, entry: KernelEntry) {
  const { vocabulary, nodes, tiles = 0 } = op;
  const field = samplingField(op.sampling, entry);
  const logits = entry.buffer("logits", op.logits, "float", "read");
  const best = (name: string, buffer: BufferId | undefined, type: string): string =>
    tiles === 0 || buffer === undefined ? "nullptr" : entry.buffer(name, buffer, type, "read");
  const bestValues = best("best_values", op.partialValues, "float");
  const bestIds = best("best_ids", op.partialIds, "int");
  const threads = Math.max(64, rowThreads(vocabulary, 16));
  return {
    rows: `${logits}, ${bestValues}, ${bestIds}`,
    sampling: `const Sampling settings{${samplingFields.map(field).join(", ")}};`,
    text: {
      config: `
struct Config {
  static constexpr int kVocabulary = ${vocabulary};
  static constexpr int kTiles = ${tiles};
  static constexpr int kThreads = ${threads};
};`,
      threads,
      grid: [nodes, 1, 1],
      label: op.label,
      traffic: {
        weightBytes: 0,
        readBytes: nodes * (tiles === 0 ? vocabulary * 4 : tiles * 8),
        writtenBytes: nodes * 4,
        flops: 0,
      },
    },
  } as const;
}

function sampleCall(op: AcceptOp, draws: BufferId, memory: Allocator): KernelCall {
  const { vocabulary, nodes, label } = op;
  const entry = newEntry();
  const { rows, sampling, text } = nodeKernel(op, entry);
  const [token, parent] = [op.tokens(entry)("node"), op.parents(entry)("node")];
  const [history, length] = [op.history(entry)("slot"), op.length(entry)("0")];
  const seed = op.seed(entry)("0");
  const seenBytes = nodes * Math.ceil(vocabulary / 32) * 4;
  const seen = entry.buffer("seen", memory.scratch(seenBytes, `${label}: seen`), "u32", "write");
  const out = entry.buffer("draws", draws, "int", "write");
  return entry.finish({
    ...text,
    name: `accept_sample_${vocabulary}`,
    comment: `Draws a token after each node of a tree from ${vocabulary} logits.`,
    includes: ["kernels/accept/sample.cuh"],
    body: `
${sampling}
sample<Config>(${rows}, settings, ${seed}, ${length},
               [&](int node) { return ${token}; }, [&](int node) { return ${parent}; },
               [&](int slot) { return ${history}; }, ${seen}, ${out});`,
  });
}

function typicalCall(op: AcceptOp, draws: BufferId, gains: BufferId): KernelCall {
  const { vocabulary } = op;
  const entry = newEntry();
  const { rows, sampling, text } = nodeKernel(op, entry);
  const [token, parent] = [op.tokens(entry)("node"), op.parents(entry)("node")];
  const nodes = entry.i32("nodes", op.nodes);
  const out = entry.buffer("draws", draws, "int", "write");
  const outGains = entry.buffer("gains", gains, "double", "write");
  return entry.finish({
    ...text,
    name: `accept_typical_${vocabulary}`,
    comment: `Which nodes of a tree pass the typical rule, from ${vocabulary} logits of their parents.`,
    includes: ["kernels/accept/typical.cuh"],
    body: `
${sampling}
typical<Config>(${rows}, settings, ${nodes},
                [&](int node) { return ${token}; }, [&](int node) { return ${parent}; }, ${out}, ${outGains});`,
  });
}

/** What both walks have in common: a warp, and the results. */
function walkKernel(op: AcceptOp, entry: KernelEntry, draws: BufferId) {
  const from = entry.buffer("draws", draws, "int", "read");
  const nodes = entry.i32("nodes", op.nodes);
  const [token, parent] = [op.tokens(entry)("node"), op.parents(entry)("node")];
  const pathLength = entry.i32("path_length", op.pathLength);
  const path = entry.buffer("path", op.path, "int", "write");
  const count = entry.buffer("count", op.count, "int", "write");
  const following = entry.buffer("following", op.following, "int", "write");
  return {
    draws: from,
    rest: `${nodes}, [&](int node) { return ${token}; }, [&](int node) { return ${parent}; }, out`,
    out: `const AcceptedPath out{${[pathLength, path, count, following].join(", ")}};`,
    text: {
      includes: ["kernels/accept/walk.cuh"],
      config: "",
      threads: 32,
      grid: [1, 1, 1],
      label: op.label,
      traffic: {
        weightBytes: 0,
        readBytes: op.nodes * 12,
        writtenBytes: op.pathLength * 8 + 4,
        flops: 0,
      },
    },
  } as const;
}

function matchCall(op: AcceptOp, draws: BufferId): KernelCall {
  const entry = newEntry();
  const walk = walkKernel(op, entry, draws);
  return entry.finish({
    ...walk.text,
    name: "accept_walk_match",
    comment: "Walks down a token tree as long as a child holds the token drawn.",
    body: `
${walk.out}
walk_match(${walk.draws}, ${walk.rest});`,
  });
}

function walkTypicalCall(op: AcceptOp, draws: BufferId, gains: BufferId): KernelCall {
  if (op.nodes > 2048) throw new RangeError(`typical acceptance of ${op.nodes} nodes`);
  // By powers of two: trees of like size share a kernel.
  const capacity = Math.max(64, 2 ** Math.ceil(Math.log2(op.nodes)));
  const entry = newEntry();
  const walk = walkKernel(op, entry, draws);
  const temperature = samplingField(op.sampling, entry)("temperature");
  const from = entry.buffer("gains", gains, "double", "read");
  return entry.finish({
    ...walk.text,
    name: `accept_walk_typical_${capacity}`,
    comment:
      "Finds the longest path of passing nodes in a token tree; greedy at a temperature of 0.",
    body: `
${walk.out}
if (${temperature} == 0.0f) {
  walk_match(${walk.draws}, ${walk.rest});
} else {
  walk_typical<${capacity}>(${walk.draws}, ${from}, ${walk.rest});
}`,
  });
}
