import type { BufferId } from "../../src/ir/program.ts";
import { type Elements, type KernelCall, KernelEntry } from "../entry.ts";
import { rowThreads } from "../row-threads.ts";

export interface RowsOp {
  /** f32 [rows, width] by flat index, computed in place. */
  readonly value: Elements;
  readonly rows: number;
  readonly width: number;
  /** C++ statements that store what follows from one element: `value` is its name as a float. */
  readonly statements: (
    entry: KernelEntry,
    at: { readonly row: string; readonly column: string; readonly value: string },
  ) => string;
  /** f32 by row: the sum of the squares of `value`, a float in scope after the statements. */
  readonly squares: { readonly buffer: BufferId; readonly value: string };
  /** For the kernel's name. */
  readonly name: string;
  readonly writtenBytes: number;
  readonly label: string;
}

/** Computed rows and what a norm wants to know of them; the sum's order is `width`'s alone. */
export function rows(op: RowsOp): KernelCall {
  const { width, squares } = op;
  const threads = rowThreads(width, 4);
  const entry = new KernelEntry("rows");
  entry.reserve("row", "column", "value", "total", "warps");
  const element = op.value(entry);
  const statements = op.statements(entry, { row: "row", column: "column", value: "value" });
  const sums = entry.buffer("sums", squares.buffer, "float", "write");
  return entry.finish({
    name: `rows_${width}_${op.name}_squares`,
    comment: `Computed rows of ${width}, with the sums of their squares: ${op.name}.`,
    includes: ["kernels/rows/rows.cuh"],
    config: "",
    body: [
      "const int row = blockIdx.x;",
      `__shared__ float warps[${threads / 32}];`,
      `const float total = block_sum(rows<${width}, ${threads}>([&](int column) {`,
      `  const float value = ${element(`row * ${width} + column`)};`,
      ...statements.split("\n").map((line) => `  ${line}`),
      `  return ${squares.value};`,
      "}), warps);",
      `if (threadIdx.x == 0) ${sums}[row] = total;`,
    ].join("\n"),
    threads,
    grid: [op.rows, 1, 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: op.rows * width * 4,
      writtenBytes: op.writtenBytes + op.rows * 4,
      flops: 2 * op.rows * width,
    },
  });
}
