import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddingOp, embedding } from "../../kernels/embedding/embedding.ts";
import { elementsOf } from "../../kernels/entry.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import { packedIndex, weightBytes, weightLayout } from "../../src/ir/weight-layout.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs embeddings", () => {}));

/** table 0, tokens 1, out 2, squares 3, ids of the rows 4. */
function call(change: Partial<EmbeddingOp> & Pick<EmbeddingOp, "width" | "rows">) {
  return embedding({
    table: { buffer: 0, dtype: "bf16" },
    vocabulary: 50,
    tokens: elementsOf(1, "int", "tokens"),
    statements: (entry, { row, column, value }) =>
      `${entry.buffer("y", 2, "float", "write")}[${row} * ${change.width} + ${column}] = ${value};`,
    name: "f32",
    writtenBytes: change.rows * change.width * 4,
    label: "embed_tokens",
    ...change,
  });
}

const withSquares: Pick<EmbeddingOp, "squares"> = { squares: { buffer: 3, value: "value" } };

/** The table's bytes as they lie on the device. */
function tableBytes(dtype: FloatDType, width: number, rows: Float32Array): Uint8Array {
  const vocabulary = rows.length / width;
  if (weightLayout(dtype, [vocabulary, width]) === "row-major") return stored(dtype, rows);
  const bytes = weightBytes(dtype, [vocabulary, width]);
  const places = new Float32Array(bytes / 2);
  for (const [i, value] of rows.entries())
    places[packedIndex(Math.floor(i / width), i % width, width)] = value;
  return stored(dtype, places);
}

describe.skipIf(installedNvrtc().length === 0)("embedding kernels", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open({ seed: 5 });
  });
  afterAll(() => lab.close());

  it.each<{ width: number; vocabulary: number; dtype: FloatDType }>([
    { width: 64, vocabulary: 50, dtype: "bf16" },
    { width: 37, vocabulary: 19, dtype: "f16" },
    { width: 1, vocabulary: 3, dtype: "bf16" },
    { width: 45, vocabulary: 7, dtype: "f32" },
    { width: 2500, vocabulary: 16, dtype: "f32" },
  ])("widen the rows of the tokens and sum their squares: %j", ({ width, vocabulary, dtype }) => {
    const random = new Random(width);
    const table = floatsOf(dtype, stored(dtype, random.normals(vocabulary * width)));
    const tokens = Int32Array.from({ length: 9 }, () => random.int(0, vocabulary - 1));
    tokens[0] = vocabulary - 1;
    const rows = tokens.length;
    const after = lab.run(
      [call({ width, vocabulary, rows, table: { buffer: 0, dtype }, ...withSquares })],
      new Map<number, Int32Array | Uint8Array | { bytes: number }>([
        [0, tableBytes(dtype, width, table)],
        [1, tokens],
        [2, { bytes: rows * width * 4 }],
        [3, { bytes: rows * 4 }],
      ]),
    );
    const y = floatsOf("f32", after.get(2));
    const sums = floatsOf("f32", after.get(3));
    for (const [row, token] of tokens.entries()) {
      const expected = table.subarray(token * width, (token + 1) * width);
      expect(y.subarray(row * width, (row + 1) * width)).toEqual(expected);
      const sum = expected.reduce((total, value) => total + value * value, 0);
      expect(Math.abs((sums[row] ?? Number.NaN) - sum)).toBeLessThanOrEqual(1e-6 * sum);
    }
    expect(lab.findings()).toEqual([]);
  });

  it("give a row the same bits among any number of rows", () => {
    const width = 300;
    const random = new Random(9);
    const table = tableBytes("bf16", width, random.normals(50 * width));
    const tokens = Int32Array.from({ length: 64 }, () => random.int(0, 49));
    const run = (rows: number): readonly Uint8Array[] => {
      const after = lab.run(
        [call({ width, rows, ...withSquares })],
        new Map<number, Int32Array | Uint8Array | { bytes: number }>([
          [0, table],
          [1, tokens.slice(64 - rows)],
          [2, { bytes: rows * width * 4 }],
          [3, { bytes: rows * 4 }],
        ]),
      );
      return [after.get(2) ?? new Uint8Array(), after.get(3) ?? new Uint8Array()];
    };
    const all = run(64);
    for (const rows of [1, 2, 7, 33]) {
      const some = run(rows);
      expect(some[0]).toEqual(all[0]?.slice((64 - rows) * width * 4));
      expect(some[1]).toEqual(all[1]?.slice((64 - rows) * 4));
    }
    expect(lab.findings()).toEqual([]);
  });

  it("read the nearest row for tokens outside the vocabulary", () => {
    const table = new Random(4).normals(50 * 8);
    const tokens = Int32Array.of(-1, 50, 0x7fffffff, -0x80000000);
    const after = lab.run(
      [call({ width: 8, rows: 4, table: { buffer: 0, dtype: "f32" } })],
      new Map<number, Int32Array | Float32Array | { bytes: number }>([
        [0, table],
        [1, tokens],
        [2, { bytes: 4 * 8 * 4 }],
      ]),
    );
    const [first, last] = [table.subarray(0, 8), table.subarray(49 * 8)];
    expect(floatsOf("f32", after.get(2))).toEqual(
      Float32Array.of(...first, ...last, ...last, ...first),
    );
    expect(lab.findings()).toEqual([]);
  });

  it("run statements once for a row", () => {
    const perRow: EmbeddingOp["perRow"] = (entry, { row }) =>
      `atomicAdd(&${entry.buffer("seen", 4, "int", "update")}[${row}], ${row} + 1);`;
    const after = lab.run(
      [call({ width: 70, rows: 3, perRow, ...withSquares })],
      new Map<number, Int32Array | Uint8Array | { bytes: number }>([
        [0, tableBytes("bf16", 70, new Float32Array(50 * 70).fill(1))],
        [1, Int32Array.of(3, 1, 2)],
        [2, { bytes: 3 * 70 * 4 }],
        [3, { bytes: 3 * 4 }],
        [4, new Int32Array(3)],
      ]),
    );
    expect(new Int32Array(after.get(4)?.buffer ?? new ArrayBuffer(0))).toEqual(
      Int32Array.of(1, 2, 3),
    );
    expect(floatsOf("f32", after.get(3))).toEqual(Float32Array.of(70, 70, 70));
    expect(lab.findings()).toEqual([]);
  });
});

describe("the text of embedding kernels", () => {
  it("stores the elements by the statements it was given", () => {
    expect(call({ width: 4096, rows: 3 }).kernel.source).toMatchInlineSnapshot(`
      "// Rows of an embedding table bf16 [50, 4096]: f32.
      #include "prelude/all.cuh"
      #include "kernels/embedding/embedding.cuh"

      struct Config {
        static constexpr int kWidth = 4096;
        static constexpr int kVocabulary = 50;
        static constexpr int kThreads = 1024;
        static constexpr bool kPacked = true;
        using Weight = bf16;
      };

      extern "C" __global__ void __launch_bounds__(1024)
      embedding_4096_bf16_f32_6de178(const bf16* table, const int* tokens, float* y) {
        grid_launch_dependents();
        grid_dependency_wait();
        const int row = blockIdx.x;
        embedding<Config>(table, tokens[row], [&](int column, float value) {
          y[row * 4096 + column] = value;
          return 0.0f;
        });
      }
      "
    `);
  });

  it("sums squares and runs statements of a row on one thread", () => {
    const { source } = call({
      width: 256,
      rows: 1,
      perRow: (entry, { row }) => `${entry.buffer("zero", 4, "int", "write")}[${row}] = 0;`,
      ...withSquares,
    }).kernel;
    expect(source.slice(source.indexOf("extern"))).toMatchInlineSnapshot(`
      "extern "C" __global__ void __launch_bounds__(64)
      embedding_256_bf16_f32_squares_7b1aec(const bf16* table, const int* tokens, float* y, int* zero, float* sums) {
        grid_launch_dependents();
        grid_dependency_wait();
        const int row = blockIdx.x;
        const float squares = embedding<Config>(table, tokens[row], [&](int column, float value) {
          y[row * 256 + column] = value;
          return value;
        });
        __shared__ float warps[Config::kThreads / 32];
        const float total = block_sum(squares, warps);
        if (threadIdx.x == 0) {
          zero[row] = 0;
          sums[row] = total;
        }
      }
      "
    `);
  });
});
