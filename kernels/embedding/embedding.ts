import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { weightLayout } from "../../src/ir/weight-layout.ts";
import { cudaTypes, type Elements, type KernelCall, KernelEntry } from "../entry.ts";
import { rowThreads } from "../row-threads.ts";

export interface EmbeddingOp {
  /** [vocabulary, width], in the layout of its type. */
  readonly table: { readonly buffer: BufferId; readonly dtype: FloatDType };
  readonly vocabulary: number;
  readonly width: number;
  readonly rows: number;
  /** i32 by row; an id outside the vocabulary gets the nearest row. */
  readonly tokens: Elements;
  /** C++ statements that store what follows from one element: `value` is its name as a float. */
  readonly statements: (
    entry: KernelEntry,
    at: { readonly row: string; readonly column: string; readonly value: string },
  ) => string;
  /** f32 by row: the sum of the squares of `value`, a float in scope after the statements. */
  readonly squares?: { readonly buffer: BufferId; readonly value: string } | undefined;
  /** C++ statements for each row, run by one thread. */
  readonly perRow?: ((entry: KernelEntry, at: { readonly row: string }) => string) | undefined;
  /** What the statements do, for the kernel's name: "f32", "concat". */
  readonly name: string;
  readonly writtenBytes: number;
  readonly label: string;
}

/** Table rows by token id, a block per row; the sum of squares in an order that `width` alone decides. */
export function embedding(op: EmbeddingOp): KernelCall {
  const { table, vocabulary, width, rows, squares } = op;
  const threads = rowThreads(Math.ceil(width / 2), 2);
  const type = cudaTypes[table.dtype];
  const packed = weightLayout(table.dtype, [vocabulary, width]) === "packed";
  const entry = new KernelEntry("embedding");
  entry.reserve("row", "column", "value", "squares", "total", "warps");
  const weights = entry.buffer("table", table.buffer, type, "read");
  const token = op.tokens(entry)("row");
  const statements = op.statements(entry, { row: "row", column: "column", value: "value" });
  const onThreadZero = op.perRow?.(entry, { row: "row" }).trim().split("\n") ?? [];
  const sum: string[] = [];
  if (squares !== undefined) {
    const sums = entry.buffer("sums", squares.buffer, "float", "write");
    sum.push("__shared__ float warps[Config::kThreads / 32];");
    sum.push("const float total = block_sum(squares, warps);");
    onThreadZero.push(`${sums}[row] = total;`);
  }
  const body = [
    "const int row = blockIdx.x;",
    `${squares === undefined ? "" : "const float squares = "}embedding<Config>(${weights}, ${token}, [&](int column, float value) {`,
    ...indented(statements.trim().split("\n")),
    `  return ${squares?.value ?? "0.0f"};`,
    "});",
    ...sum,
    ...(onThreadZero.length === 0
      ? []
      : ["if (threadIdx.x == 0) {", ...indented(onThreadZero), "}"]),
  ];
  const rowBytes = width * byteSize(table.dtype);
  return entry.finish({
    name: `embedding_${width}_${table.dtype}_${op.name}${squares === undefined ? "" : "_squares"}`,
    comment: `Rows of an embedding table ${table.dtype} [${vocabulary}, ${width}]: ${op.name}.`,
    includes: ["kernels/embedding/embedding.cuh"],
    config: `
struct Config {
  static constexpr int kWidth = ${width};
  static constexpr int kVocabulary = ${vocabulary};
  static constexpr int kThreads = ${threads};
  static constexpr bool kPacked = ${packed};
  using Weight = ${type};
};`,
    body: body.join("\n"),
    threads,
    grid: [rows, 1, 1],
    label: op.label,
    traffic: {
      weightBytes: rows * rowBytes,
      readBytes: rows * 4,
      writtenBytes: op.writtenBytes + (squares === undefined ? 0 : rows * 4),
      flops: squares === undefined ? 0 : 2 * rows * width,
    },
  });
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
