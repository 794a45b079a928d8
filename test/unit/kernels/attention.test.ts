import { describe, expect, it } from "vitest";
import { type AttentionOp, attention } from "../../../kernels/attention/attention.ts";
import { splitsOf, splitWorkers } from "../../../kernels/attention/partition.ts";
import { type Allocator, elementsOf } from "../../../kernels/entry.ts";
import type { Target } from "../../../src/ir/program.ts";

const h200: Target = {
  capability: 90,
  arch: "sm_90a",
  nvrtcMajor: 13,
  multiprocessors: 132,
  activations: "stored",
};

const llama: AttentionOp = {
  q: { buffer: 0, dtype: "bf16" },
  keys: { buffer: 1, dtype: "bf16" },
  values: { buffer: 2, dtype: "bf16" },
  length: elementsOf(3, "int", "length"),
  mask: { kind: "causal" },
  rows: 1,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  capacity: 4096,
  scale: 128 ** -0.5,
  out: { buffer: 4, dtype: "bf16" },
  label: "attention",
};
const tree = (wordsPerRow: number): AttentionOp["mask"] => ({
  kind: "tree",
  words: elementsOf(5, "u64", "words"),
  wordsPerRow,
});

/** The launch of an op, and the bytes it asks for. */
function call(op: AttentionOp, target: Target = h200) {
  let bytes = 0;
  const memory: Allocator = {
    scratch(count) {
      bytes += count;
      return 100;
    },
    counters: () => 101,
  };
  const [first] = attention(op, target, memory);
  if (first === undefined) throw new Error("attention is one launch");
  return { ...first, bytes };
}

/** Lines of a text that another lacks, with the name's hash left out. */
function changed(op: AttentionOp, from: AttentionOp = llama, target: Target = h200): string {
  const plain = (text: string) => text.replaceAll(/_[0-9a-f]{6}\b/g, "");
  const before = new Set(plain(call(from).kernel.source).split("\n"));
  return plain(call(op, target).kernel.source)
    .split("\n")
    .filter((line) => !before.has(line))
    .join("\n");
}

describe("attention kernels", () => {
  it("write a plain step for tensor cores", () => {
    expect(call(llama).kernel.source).toMatchInlineSnapshot(`
      "// Attention of 32 heads of 128 over 8, causal, bf16, on tensor cores.
      #include "prelude/all.cuh"
      #include "kernels/attention/tensor-core.cuh"

      struct Config {
        using Element = bf16;
        using Out = bf16;
        static constexpr int kHeads = 32;
        static constexpr int kKvHeads = 8;
        static constexpr int kGroup = 4;
        static constexpr int kHeadDim = 128;
        static constexpr float kScale = 0.127517431974411f;
        static constexpr int kTile = 16;
        static constexpr int kKeyWarps = 4;
        static constexpr int kThreads = 128;
        static constexpr int kStages = 4;
        static constexpr int kWindow = 128;
        static constexpr bool kWalk = false;
        static constexpr int kTreeDepth = 32;
        static constexpr int kShortSplits = 32;
        static constexpr int kShortBlocks = 4;
        static constexpr int kLongBlocks = 16;
        static constexpr int kSharedBytes = 84224;
      };

      extern "C" __global__ void __launch_bounds__(128, 2)
      attention_causal_h32x8_d128_bf16_t16_split_379ccf(const bf16* q, const bf16* keys, const bf16* values, const int* length, int rows, bf16* out, int tail, float* accumulators, float* sums, int* counters) {
        grid_launch_dependents();
        grid_dependency_wait();
        attention_tensor_cores<Config>(q, keys, values, CausalMask{length[0]}, rows, out, tail, accumulators, sums, counters);
      }
      "
    `);
  });

  it("read a tree's words where they are used", () => {
    expect(changed({ ...llama, mask: tree(1) })).toMatchInlineSnapshot(`
      "// Attention of 32 heads of 128 over 8, tree64, bf16, on tensor cores.
        static constexpr int kWindow = 192;
        static constexpr int kSharedBytes = 89344;
      attention_tree64_h32x8_d128_bf16_t16_split(const bf16* q, const bf16* keys, const bf16* values, const int* length, const u64* words, int rows, bf16* out, int tail, float* accumulators, float* sums, int* counters) {
        attention_tensor_cores<Config>(q, keys, values, tree_mask<1>(length[0], [&](int index) -> u64 { return words[index]; }), rows, out, tail, accumulators, sums, counters);"
    `);
  });

  it("let four warps have queries of their own when there are 64", () => {
    expect(changed({ ...llama, rows: 64 })).toMatchInlineSnapshot(`
      "  static constexpr int kTile = 64;
        static constexpr int kKeyWarps = 1;
        static constexpr int kSharedBytes = 87040;
      attention_causal_h32x8_d128_bf16_t64_split(const bf16* q, const bf16* keys, const bf16* values, const int* length, int rows, bf16* out, int tail, float* accumulators, float* sums, int* counters) {"
    `);
  });

  it("let one block walk over all splits of a prompt", () => {
    const rows = { ...llama, rows: 64 };
    expect(changed({ ...llama, rows: 2048 }, rows)).toMatchInlineSnapshot(`
      "  static constexpr bool kWalk = true;
      attention_causal_h32x8_d128_bf16_t64(const bf16* q, const bf16* keys, const bf16* values, const int* length, int rows, bf16* out, int tail, float* accumulators, float* sums, int* counters) {"
    `);
  });

  it("keep fewer tiles on their way where shared memory is small", () => {
    const a100 = { ...h200, capability: 80, arch: "sm_80", multiprocessors: 108 };
    expect(changed({ ...llama, rows: 64 }, { ...llama, rows: 64 }, a100)).toMatchInlineSnapshot(`
      "  static constexpr int kStages = 3;
        static constexpr int kSharedBytes = 69632;"
    `);
  });

  it("write CUDA-core code for activations in f32", () => {
    const op: AttentionOp = { ...llama, q: { buffer: 0, dtype: "f32" } };
    expect(
      call(op, { ...h200, activations: "f32" }).kernel.source.replaceAll(/_[0-9a-f]{6}\b/g, ""),
    ).toMatchInlineSnapshot(`
      "// Attention of 32 heads of 128 over 8, causal, on CUDA cores.
      #include "prelude/all.cuh"
      #include "kernels/attention/cuda-core.cuh"

      struct Config {
        using Query = float;
        using Key = bf16;
        using Value = bf16;
        using Out = bf16;
        static constexpr int kHeads = 32;
        static constexpr int kKvHeads = 8;
        static constexpr int kHeadDim = 128;
        static constexpr float kScale = 0.127517431974411f;
        static constexpr int kVector = 8;
        static constexpr int kWarps = 4;
        static constexpr bool kWalk = false;
        static constexpr int kShortSplits = 32;
        static constexpr int kShortBlocks = 4;
        static constexpr int kLongBlocks = 16;
      };

      extern "C" __global__ void __launch_bounds__(128)
      attention_causal_h32x8_d128_f32_bf16_split(const float* q, const bf16* keys, const bf16* values, const int* length, int rows, bf16* out, float* accumulators, float* sums, int* counters) {
        grid_launch_dependents();
        grid_dependency_wait();
        attention_cuda_cores<Config>(q, keys, values, CausalMask{length[0]}, rows, out, accumulators, sums, counters);
      }
      "
    `);
  });

  it("have one text for every row count of a tile, and for every layer", () => {
    const texts = [33, 40, 64].map((rows) => call({ ...llama, kvHeads: 32, rows }).kernel.source);
    expect(new Set(texts).size).toBe(1);
    const layer = { ...llama, keys: { buffer: 11, dtype: "bf16" as const }, capacity: 8192 };
    expect(call(layer).kernel).toEqual(call(llama).kernel);
  });

  it("fall back to CUDA cores for what tensor cores do not take", () => {
    for (const other of [{ headDim: 72 }, { keys: { buffer: 1, dtype: "f32" as const } }]) {
      expect(call({ ...llama, ...other }).kernel.source).toContain("attention_cuda_cores");
    }
  });

  it("refuse heads that do not divide evenly, and trees too wide for shared memory", () => {
    expect(() => call({ ...llama, kvHeads: 5 })).toThrow(/32 heads cannot share 5/);
    expect(() => call({ ...llama, mask: tree(40) })).toThrow(/bytes of shared memory/);
  });

  it("keep launches and scratch sane for long contexts", () => {
    const long = call({ ...llama, rows: 64, mask: tree(1), capacity: 131072 });
    expect(long.launch.grid).toEqual([4 + 13, 8, 4]);
    expect(long.bytes / 2 ** 20).toBeLessThan(170);
    const prompt = call({ ...llama, rows: 2048, capacity: 131072 });
    expect(prompt.launch.grid).toEqual([4 + 1, 8, 128]);
    expect(prompt.bytes / 2 ** 20).toBeLessThan(70);
  });
});

describe("splits of the keys", () => {
  it("grow with the position, so that long contexts have few", () => {
    expect([0, 1, 256, 257, 8192, 8193, 9216, 9217, 131072].map(splitsOf)).toEqual([
      0, 1, 1, 2, 32, 33, 33, 34, 152,
    ]);
  });

  it("are shared by enough blocks to fill the device, and walked where queries fill it", () => {
    expect(splitWorkers(32, 131072, 132)).toBe(13);
    expect(splitWorkers(8, 1024, 132)).toBe(4);
    expect(splitWorkers(66, 131072, 132)).toBe(1);
    expect(splitWorkers(1, 100, 132)).toBe(1);
  });
});
