import { byteSize } from "../../src/ir/dtype.ts";
import type { Target } from "../../src/ir/program.ts";
import { type Allocator, cudaTypes, floatLiteral, type KernelCall, KernelEntry } from "../entry.ts";
import { type AttentionOp, attentionTraffic, maskName, maskText, partialBuffers } from "./op.ts";
import { blockKeys, maxTreeDepth, splitConfig, splitsOf, splitWorkers } from "./partition.ts";

const warps = 4;
/** Queries that go through the keys of the tail together (tail.cuh). */
const tailQueries = 16;

/** Whether the op's types and head size are those of tensor cores. */
export function fitsTensorCores({ q, keys, values, headDim }: AttentionOp): boolean {
  return (
    byteSize(q.dtype) === 2 &&
    q.dtype === keys.dtype &&
    q.dtype === values.dtype &&
    headDim % 16 === 0 &&
    headDim <= 256
  );
}

/**
 * Attention of 16-bit types on tensor cores (tensor-core.cuh).
 * @throws RangeError for trees whose scores do not fit shared memory (1000 nodes and more).
 */
export function attentionOnTensorCores(
  op: AttentionOp,
  target: Target,
  memory: Allocator,
): KernelCall {
  const { q, keys, values, out, rows, heads, kvHeads, headDim } = op;
  const group = heads / kvHeads;
  const tile = tileQueries(rows * group, headDim);
  const tiles = Math.ceil((rows * group) / tile);
  const workers = splitWorkers(tiles * kvHeads, op.capacity, target.multiprocessors);
  const walk = workers === 1;
  const partials = walk ? 1 : splitsOf(op.capacity);
  const window = tailWindow(op, group);
  const { stages, sharedBytes } = sharedLayout({ tile, headDim, window }, target.capability);
  const type = cudaTypes[q.dtype];

  const entry = new KernelEntry("attention");
  entry.reserve("index");
  const queries = entry.buffer("q", q.buffer, type, "read");
  const k = entry.buffer("keys", keys.buffer, type, "read");
  const v = entry.buffer("values", values.buffer, type, "read");
  const mask = maskText(op, entry);
  const args = [
    entry.i32("rows", rows),
    entry.buffer("out", out.buffer, cudaTypes[out.dtype], "write"),
    entry.i32("tail", partials),
    ...partialBuffers(entry, memory, {
      partials: partials + 1,
      queries: rows * heads,
      headDim,
      counters: tiles * kvHeads,
    }),
  ];
  return entry.finish({
    name: `attention_${maskName(op)}_h${heads}x${kvHeads}_d${headDim}_${q.dtype}_t${tile}${walk ? "" : "_split"}`,
    comment: `Attention of ${heads} heads of ${headDim} over ${kvHeads}, ${maskName(op)}, ${q.dtype}, on tensor cores.`,
    includes: ["kernels/attention/tensor-core.cuh"],
    config: `
struct Config {
  using Element = ${type};
  using Out = ${cudaTypes[out.dtype]};
  static constexpr int kHeads = ${heads};
  static constexpr int kKvHeads = ${kvHeads};
  static constexpr int kGroup = ${group};
  static constexpr int kHeadDim = ${headDim};
  static constexpr float kScale = ${floatLiteral(op.scale * Math.LOG2E)};
  static constexpr int kTile = ${tile};
  static constexpr int kKeyWarps = ${keyWarps(tile)};
  static constexpr int kThreads = ${32 * warps};
  static constexpr int kStages = ${stages};
  static constexpr int kWindow = ${window};
  static constexpr bool kWalk = ${walk};
  static constexpr int kTreeDepth = ${maxTreeDepth};
  ${splitConfig}
  static constexpr int kSharedBytes = ${sharedBytes};
};`,
    body: `attention_tensor_cores<Config>(${[queries, k, v, mask, ...args].join(", ")});`,
    threads: 32 * warps,
    minBlocks: 2,
    sharedBytes,
    grid: [tile / tailQueries + workers, kvHeads, tiles],
    label: op.label,
    traffic: attentionTraffic(op),
  });
}

/** Queries of a tile: 64 fill four warps; accumulators of larger heads need two warps for a query. */
function tileQueries(queries: number, headDim: number): number {
  if (queries <= 16) return 16;
  return queries <= 32 || headDim > 128 ? 32 : 64;
}

/** Warps that share 16 queries. */
function keyWarps(tile: number): number {
  return (warps * 16) / tile;
}

/**
 * Slots from the first that goes through CUDA cores to the last that 16 queries see, in whole blocks.
 * The first is less than a block and a tree's depth before the lowest position of them.
 */
function tailWindow(op: AttentionOp, group: number): number {
  const beyond =
    op.mask.kind === "causal"
      ? Math.ceil((tailQueries - 1) / group) + 1
      : 64 * op.mask.wordsPerRow + 1;
  return Math.ceil((blockKeys - 1 + maxTreeDepth + beyond) / blockKeys) * blockKeys;
}

/** Bytes of shared memory a block may have for two to fit a multiprocessor, and at most. */
function sharedLimits(capability: number): { readonly preferred: number; readonly most: number } {
  if (capability >= 90) return { preferred: 113 * 1024, most: 227 * 1024 };
  if (capability === 80 || capability === 87) return { preferred: 81 * 1024, most: 163 * 1024 };
  return { preferred: 99 * 1024, most: 99 * 1024 };
}

/** The deepest ring of tiles that fits, up to 4. */
function sharedLayout(
  of: { readonly tile: number; readonly headDim: number; readonly window: number },
  capability: number,
): { readonly stages: number; readonly sharedBytes: number } {
  const pitch = of.headDim * 2 + 16;
  const shared = keyWarps(of.tile);
  const exchange = shared === 1 ? 0 : of.tile * (blockKeys * 2 + 16 + shared * 4);
  const blocks = of.tile * pitch + exchange;
  const tail = tailQueries * pitch + of.window * (tailQueries + 4) * 4;
  const bytes = (stages: number) => stages * blockKeys * pitch + Math.max(blocks, tail);
  const { preferred, most } = sharedLimits(capability);
  const stages = [4, 3].find((count) => bytes(count) <= preferred) ?? 2;
  if (bytes(stages) > most) {
    throw new RangeError(
      `attention needs ${bytes(stages)} bytes of shared memory for heads of ${of.headDim} and a window of ${of.window} slots; there are ${most}`,
    );
  }
  return { stages, sharedBytes: bytes(stages) };
}
