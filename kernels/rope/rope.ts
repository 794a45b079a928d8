import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { cudaTypes, type Elements, type KernelCall, KernelEntry } from "../entry.ts";

export interface RopeOp {
  /** f32 [rows, heads, headDim]. */
  readonly x: BufferId;
  readonly rows: number;
  readonly heads: number;
  /** Even. */
  readonly headDim: number;
  /** i32 [rows], absolute positions. */
  readonly positions: Elements;
  /** f32 [headDim / 2]. */
  readonly inverseFrequencies: BufferId;
  /** [rows, heads, headDim], or a cache [capacity, heads, headDim] with `start`; rounded on store. */
  readonly out: { readonly buffer: BufferId; readonly dtype: FloatDType };
  /** i32 [1]: slot of `out` that row 0 goes to. Without it row 0 goes to row 0. */
  readonly start?: Elements | undefined;
  readonly label: string;
}

const threads = 256;

/** Rotary embedding (half-rotation form), one thread per pair. */
export function rope(op: RopeOp): KernelCall {
  const { rows, heads, headDim, out } = op;
  const pairs = (heads * headDim) / 2;
  const entry = new KernelEntry("rope");
  entry.reserve("row");
  const x = entry.buffer("x", op.x, "float", "read");
  const frequencies = entry.buffer("inv_freq", op.inverseFrequencies, "float", "read");
  const y = entry.buffer("out", out.buffer, cudaTypes[out.dtype], "write");
  const position = op.positions(entry)("row");
  const first = op.start === undefined ? "0" : op.start(entry)("0");
  const into = op.start === undefined ? out.dtype : `${out.dtype}_cache`;
  return entry.finish({
    name: `rope_${heads}x${headDim}_to_${into}`,
    comment: `Rotary embedding of ${heads} heads of ${headDim}, stored as ${into.replace("_", " ")}.`,
    includes: ["kernels/rope/rope.cuh"],
    config: `
struct Config {
  static constexpr int kHeads = ${heads};
  static constexpr int kHeadDim = ${headDim};
  static constexpr int kThreads = ${threads};
  using Out = ${cudaTypes[out.dtype]};
};`,
    body: `rope<Config>(${x}, ${frequencies}, ${y}, ${first}, [&](int row) { return ${position}; });`,
    threads,
    grid: [rows, Math.ceil(pairs / threads), 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: rows * pairs * 8 + rows * 4 + headDim * 2,
      writtenBytes: rows * pairs * 2 * byteSize(out.dtype),
      flops: rows * pairs * 6,
    },
  });
}
