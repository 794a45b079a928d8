import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { cudaTypes, floatLiteral, type KernelCall, KernelEntry } from "../entry.ts";
import { rowThreads } from "../row-threads.ts";

export interface RmsNormOp {
  /** f32 [rows, width]. */
  readonly x: BufferId;
  /** [width]. */
  readonly weight: { readonly buffer: BufferId; readonly dtype: FloatDType };
  readonly rows: number;
  readonly width: number;
  readonly eps: number;
  /** [rows, width] each, rounded to its type. */
  readonly outputs: readonly { readonly buffer: BufferId; readonly dtype: FloatDType }[];
  readonly label: string;
}

/** x · rsqrt(mean(x²) + eps) · weight: a block per row, the sum in an order that `width` alone decides. */
export function rmsNorm(op: RmsNormOp): KernelCall {
  const { rows, width, weight, outputs } = op;
  const vector = width % 4 === 0 ? 4 : width % 2 === 0 ? 2 : 1;
  const threads = rowThreads(width / vector, 2);
  const entry = new KernelEntry("rms-norm");
  const x = entry.buffer("x", op.x, "float", "read");
  const w = entry.buffer("weight", weight.buffer, cudaTypes[weight.dtype], "read");
  const stored = outputs.map(({ buffer, dtype }) =>
    entry.buffer("y", buffer, cudaTypes[dtype], "write"),
  );
  const types = outputs.map(({ dtype }) => dtype);
  return entry.finish({
    name: `rms_norm_${width}_${weight.dtype}_to_${types.join("_")}`,
    comment: `RMS norm over rows of ${width}, weight ${weight.dtype}, stored as ${types.join(" and ")}.`,
    includes: ["kernels/rms-norm/rms-norm.cuh"],
    config: `
struct Config {
  static constexpr int kWidth = ${width};
  static constexpr int kThreads = ${threads};
  static constexpr int kVector = ${vector};
  static constexpr float kEps = ${floatLiteral(op.eps)};
  using Weight = ${cudaTypes[weight.dtype]};
};`,
    body: `rms_norm<Config>(${[x, w, ...stored].join(", ")});`,
    threads,
    grid: [rows, 1, 1],
    label: op.label,
    traffic: {
      weightBytes: width * byteSize(weight.dtype),
      readBytes: rows * width * 4,
      writtenBytes: rows * width * types.reduce((sum, dtype) => sum + byteSize(dtype), 0),
      flops: 4 * rows * width,
    },
  });
}
