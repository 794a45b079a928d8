import { byteSize } from "../../src/ir/dtype.ts";
import type { Target } from "../../src/ir/program.ts";
import { type Allocator, cudaTypes, floatLiteral, type KernelCall, KernelEntry } from "../entry.ts";
import { type AttentionOp, attentionTraffic, maskName, maskText, partialBuffers } from "./op.ts";
import { splitConfig, splitsOf, splitWorkers } from "./partition.ts";

/** Queries of a block, a warp each. */
const warps = 4;

/** Attention of any types and head size: a warp per row and head (cuda-core.cuh). */
export function attentionOnCudaCores(
  op: AttentionOp,
  target: Target,
  memory: Allocator,
): KernelCall {
  const { q, keys, values, out, rows, heads, kvHeads, headDim } = op;
  const groups = Math.ceil((rows * heads) / kvHeads / warps);
  const workers = splitWorkers(groups * kvHeads, op.capacity, target.multiprocessors);
  const walk = workers === 1;
  const entry = new KernelEntry("attention");
  entry.reserve("index");
  const queries = entry.buffer("q", q.buffer, cudaTypes[q.dtype], "read");
  const k = entry.buffer("keys", keys.buffer, cudaTypes[keys.dtype], "read");
  const v = entry.buffer("values", values.buffer, cudaTypes[values.dtype], "read");
  const mask = maskText(op, entry);
  const count = entry.i32("rows", rows);
  const result = entry.buffer("out", out.buffer, cudaTypes[out.dtype], "write");
  const partials = walk
    ? ["nullptr", "nullptr", "nullptr"]
    : partialBuffers(entry, memory, {
        partials: splitsOf(op.capacity),
        queries: rows * heads,
        headDim,
        counters: groups * kvHeads,
      });
  return entry.finish({
    name: `attention_${maskName(op)}_h${heads}x${kvHeads}_d${headDim}_${q.dtype}_${keys.dtype}${walk ? "" : "_split"}`,
    comment: `Attention of ${heads} heads of ${headDim} over ${kvHeads}, ${maskName(op)}, on CUDA cores.`,
    includes: ["kernels/attention/cuda-core.cuh"],
    config: `
struct Config {
  using Query = ${cudaTypes[q.dtype]};
  using Key = ${cudaTypes[keys.dtype]};
  using Value = ${cudaTypes[values.dtype]};
  using Out = ${cudaTypes[out.dtype]};
  static constexpr int kHeads = ${heads};
  static constexpr int kKvHeads = ${kvHeads};
  static constexpr int kHeadDim = ${headDim};
  static constexpr float kScale = ${floatLiteral(op.scale * Math.LOG2E)};
  static constexpr int kVector = ${keyVector(headDim, byteSize(keys.dtype))};
  static constexpr int kWarps = ${warps};
  static constexpr bool kWalk = ${walk};
  ${splitConfig}
};`,
    body: `attention_cuda_cores<Config>(${[queries, k, v, mask, count, result, ...partials].join(", ")});`,
    threads: 32 * warps,
    grid: [workers, kvHeads, groups],
    label: op.label,
    traffic: attentionTraffic(op),
  });
}

/** Elements of one access: at most 16 bytes, and rows must stay aligned to them. */
function keyVector(headDim: number, elementBytes: number): number {
  for (let vector = 16 / elementBytes; vector > 1; vector /= 2)
    if (headDim % vector === 0) return vector;
  return 1;
}
