import { describe, expect, it } from "vitest";
import { elementsOf } from "../../../kernels/entry.ts";
import {
  canFuseRope,
  type ElementwiseEpilogue,
  type LinearOp,
  linear,
} from "../../../kernels/linear/linear.ts";
import type { Target } from "../../../src/ir/program.ts";

const target: Target = {
  capability: 80,
  arch: "sm_80",
  nvrtcMajor: 11,
  multiprocessors: 108,
  activations: "stored",
};
const memory = { scratch: () => 90, counters: () => 91 };

const stored: ElementwiseEpilogue = {
  kind: "elementwise",
  name: "store",
  statements: (entry, { row, column, values }) =>
    `${entry.buffer("out", 20, "float", "write")}[${row} * 4096 + ${column}] = ${values[0]};`,
  readBytes: 0,
  writtenBytes: 5 * 4096 * 4,
};

/** [rows, 4096] times [4096, 4096], stored as f32. */
const plain: LinearOp = {
  x: { buffer: 0, dtype: "bf16" },
  inputs: 4096,
  rows: 5,
  weights: [{ buffer: 1, dtype: "bf16", outputs: 4096 }],
  epilogue: stored,
  label: "layer",
};

const only = (op: LinearOp, on = target) => {
  const [call] = linear(op, on, memory);
  if (call === undefined) throw new Error("a layer is one kernel");
  return call;
};
/** Lines of the kernel's text that a feature brings. */
const lines = (op: LinearOp, pattern: RegExp, on = target): string =>
  only(op, on)
    .kernel.source.split("\n")
    .filter((line) => pattern.test(line))
    .join("\n");

describe("the text of a linear layer", () => {
  it("is a struct of constants and one call", () => {
    expect(only(plain).kernel.source).toMatchInlineSnapshot(`
      "// bf16 rows of 4096 times weights [4096, 4096], up to 8 rows to a block; store.
      // 32 outputs to a block, 4 groups of warps share the inputs.
      #include "prelude/all.cuh"
      #include "kernels/linear/linear-tensor-cores.cuh"
      #include "kernels/linear/elementwise.cuh"

      struct Config {
        using Weight = bf16;
        static constexpr int kInputs = 4096;
        static constexpr int kWeights = 1;
        static constexpr int kMerged = 1;
        static constexpr int kPointers = 1;
        static constexpr int kTileOutputs = 32;
        static constexpr int kBlockTiles = 1;
        static constexpr int kRows = 8;
        static constexpr int kWarpsK = 4;
        static constexpr int kWarpsOutputs = 2;
        static constexpr int kWarpsRows = 1;
        static constexpr int kParts = 4;
        static constexpr int kSplit = 1;
        static constexpr bool kCluster = false;
        static constexpr int kStages = 3;
        static constexpr bool kBulk = false;
        static constexpr bool kBias = false;
        static constexpr int kScaleParts = 0;
        DEVICE static constexpr int outputs(int weight) { return 4096; }
      };

      extern "C" __global__ void __launch_bounds__(256, 2)
      linear_4096x4096_bf16_r8_store_770040(const __grid_constant__ Table<const bf16, 1> weights, const bf16* x, int rows, float* __restrict__ out) {
        grid_launch_dependents();
        grid_dependency_wait();
        const auto bias_of = [&](int weight, int output) { return 0.0f; };
        const auto epilogue = elementwise_epilogue<0>(
            [&](int row, int column, const float (&values)[1]) {
              out[row * 4096 + column] = values[0];
              return 0.0f;
            }, nullptr);
        linear_tensor_cores<Config>(weights, x, rows, nullptr, nullptr, nullptr, bias_of, epilogue);
      }
      "
    `);
  });

  it("does not depend on the number of rows, the layer's label or its buffers", () => {
    const other = { ...plain, rows: 8, label: "other", x: { buffer: 50, dtype: "bf16" as const } };
    expect(only(other).kernel).toEqual(only(plain).kernel);
  });

  it("adds biases of any type to their weight's outputs", () => {
    const bias = { buffer: 10, dtype: "f16" } as const;
    const weights = plain.weights.map((weight) => ({ ...weight, bias }));
    expect(lines({ ...plain, weights }, /bias|kBias/)).toMatchInlineSnapshot(`
      "  static constexpr bool kBias = true;
      linear_4096x4096_bf16_r8_store_0481d5(const __grid_constant__ Table<const bf16, 1> weights, const bf16* x, int rows, const f16* bias, float* __restrict__ out) {
        const auto bias_of = [&](int weight, int output) { return to_float(bias[output]); };
        linear_tensor_cores<Config>(weights, x, rows, nullptr, nullptr, nullptr, bias_of, epilogue);"
    `);
  });

  it("scales rows by the root of their mean square", () => {
    const rowScale = { sums: 30, parts: 128, width: 4096, eps: 1e-5 };
    expect(lines({ ...plain, rowScale }, /Scale|sums/)).toMatchInlineSnapshot(`
      "  static constexpr int kScaleParts = 128;
        static constexpr float kScaleWidth = 4096.0f;
        static constexpr float kScaleEps = 0.000009999999747378752f;
      linear_4096x4096_bf16_r8_scaled_store_a0fbe3(const __grid_constant__ Table<const bf16, 1> weights, const bf16* x, int rows, const float* sums, float* __restrict__ out) {
        linear_tensor_cores<Config>(weights, x, rows, sums, nullptr, nullptr, bias_of, epilogue);"
    `);
  });

  it("sums squares of what the statements name", () => {
    const squares = { buffer: 21, value: "values[0]" };
    const epilogue = { ...stored, squares };
    expect(lines({ ...plain, epilogue }, /squares|return values/)).toMatchInlineSnapshot(`
      "// bf16 rows of 4096 times weights [4096, 4096], up to 8 rows to a block; store_squares.
      linear_4096x4096_bf16_r8_store_squares_3aa39b(const __grid_constant__ Table<const bf16, 1> weights, const bf16* x, int rows, float* __restrict__ out, float* __restrict__ squares) {
              return values[0];
            }, squares);"
    `);
  });

  it("shares inputs among blocks through memory, and in a cluster where there are clusters", () => {
    const many = { ...plain, rows: 64 };
    const pattern = /kSplit|kCluster|__global__|workspace/;
    expect(lines(many, pattern)).toMatchInlineSnapshot(`
      "  static constexpr int kSplit = 4;
        static constexpr bool kCluster = false;
      extern "C" __global__ void __launch_bounds__(128, 2)
      linear_4096x4096_bf16_r64_store_e73c61(const __grid_constant__ Table<const bf16, 1> weights, const bf16* x, int rows, float* __restrict__ workspace, int* __restrict__ counters, float* __restrict__ out) {
        linear_tensor_cores<Config>(weights, x, rows, nullptr, workspace, counters, bias_of, epilogue);"
    `);
    const hopper = { ...target, capability: 90, arch: "sm_90a", multiprocessors: 132 };
    expect(lines(many, pattern, hopper)).toMatchInlineSnapshot(`
      "  static constexpr int kSplit = 4;
        static constexpr bool kCluster = true;
      extern "C" __global__ void __cluster_dims__(1, 4, 1) __launch_bounds__(128, 2)"
    `);
  });

  it("rotates and fills caches behind merged weights", () => {
    const op: LinearOp = {
      ...plain,
      weights: [4096, 1024, 1024].map((outputs, i) => ({ buffer: i + 1, dtype: "bf16", outputs })),
      epilogue: {
        kind: "rope-cache",
        headDim: 128,
        roles: ["q", "k", "v"],
        positions: elementsOf(30, "int", "positions"),
        inverseFrequencies: 31,
        start: elementsOf(32, "int", "start"),
        q: { buffer: 20, dtype: "bf16" },
        keys: { buffer: 21, dtype: "bf16" },
        values: { buffer: 22, dtype: "bf16" },
      },
    };
    expect(
      only(op).kernel.source.slice(only(op).kernel.source.indexOf("struct Rope")),
    ).toMatchInlineSnapshot(`
      "struct Rope {
        static constexpr int kHeadDim = 128;
        static constexpr int kQueryWidth = 4096;
        static constexpr int kCacheWidth = 1024;
        using Query = bf16;
        using Key = bf16;
        using Value = bf16;
        DEVICE static constexpr Role role(int weight) { return weight == 0 ? Role::kQuery : weight == 1 ? Role::kKey : Role::kValue; }
      };

      extern "C" __global__ void __launch_bounds__(128, 2)
      linear_4096_1024_1024x4096_bf16_r8_rope_cache_qkv_d75b1c(const __grid_constant__ Table<const bf16, 3> weights, const bf16* x, int rows, float* __restrict__ workspace, int* __restrict__ counters, bf16* __restrict__ q, bf16* __restrict__ keys, bf16* __restrict__ values_1, const float* inv_freq, const int* positions, const int* start) {
        grid_launch_dependents();
        grid_dependency_wait();
        const auto bias_of = [&](int weight, int output) { return 0.0f; };
        const auto epilogue = rope_cache<Rope>(q, keys, values_1, inv_freq, start[0],
            [&](int row) { return positions[row]; });
        linear_tensor_cores<Config>(weights, x, rows, nullptr, workspace, counters, bias_of, epilogue);
      }
      "
    `);
  });

  it("keeps the best of an LM head, and logits on a condition", () => {
    const op: LinearOp = {
      ...plain,
      weights: [{ buffer: 1, dtype: "bf16", outputs: 32000 }],
      epilogue: {
        kind: "topk",
        k: 10,
        partialValues: 20,
        partialIds: 21,
        logits: { buffer: 22, when: () => "wanted" },
      },
    };
    expect(lines(op, /topk_epilogue</)).toMatchInlineSnapshot(
      `"  const auto epilogue = topk_epilogue<10, 250, 32000>(partial_values, partial_ids, [&]() -> float* { return (wanted) ? logits : nullptr; });"`,
    );
  });
});

describe("a linear layer's launch", () => {
  it("counts packed weights, activations and multiplications", () => {
    const odd = {
      ...plain,
      inputs: 100,
      weights: [{ buffer: 1, dtype: "bf16", outputs: 50 }],
    } as const;
    expect(only(odd).launch.traffic).toEqual({
      weightBytes: 64 * 112 * 2,
      readBytes: 5 * 100 * 2,
      writtenBytes: 5 * 4096 * 4,
      flops: 2 * 5 * 50 * 100,
    });
  });

  it("has row tiles of the same weights next to each other", () => {
    expect(only({ ...plain, rows: 500 }).launch.grid).toEqual([4, 1, 32]);
  });
});

describe("canFuseRope", () => {
  it("takes heads that are whole tiles together, and no large ones", () => {
    expect([8, 24, 64, 80, 96, 128, 256].every(canFuseRope)).toBe(true);
    expect([34, 320, 7].some(canFuseRope)).toBe(false);
  });
});
