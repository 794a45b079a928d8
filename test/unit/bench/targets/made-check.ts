import type { Results } from "../../../../bench/gpu-check/results.ts";

type Numbers = Readonly<Record<string, number>>;

/** A GPU check whose parts found these medians and notes. */
export function madeCheck(
  parts: Readonly<
    Record<
      string,
      {
        readonly figures?: Numbers;
        readonly notes?: Readonly<Record<string, string | number>>;
        readonly passed?: number;
        readonly failed?: number;
      }
    >
  >,
): Results {
  return {
    device: "cuda",
    environment: {
      date: "2026-01-31T10:00:00",
      commit: "0123456789ab",
      node: "v24.0.0",
      system: "linux 6.1",
      cpu: "a processor",
      cores: 16,
      memoryGB: 128,
      loadBefore: 0.1,
    },
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, { figures = {}, notes = {}, passed = 0, failed = 0 }]) => [
        name,
        {
          status: failed === 0 ? "passed" : "failed",
          seconds: 1,
          passed,
          failed: Array.from({ length: failed }, (_, i) => ({ name: `${i}`, message: "wrong" })),
          skipped: [],
          notes,
          figures: Object.fromEntries(
            Object.entries(figures).map(([figure, median]) => [
              figure,
              { median, min: median, max: median, unit: "ms", count: 1 },
            ]),
          ),
        },
      ]),
    ),
  };
}

/** Every figure that a target needs for vicuna-7b at 512 tokens. */
export const goodCheck = madeCheck({
  device: { notes: { "GPU 0": "a GPU, 9.0" } },
  ceilings: { figures: { copy: 4000 } },
  rows: { passed: 9 },
  "vicuna-7b": {
    notes: { "plain step: weights read, GB": 13.2 },
    figures: {
      "plain step at 512": 3.6,
      "plain step at 512, device time": 3.58,
      "plain step at 512: all launches, one by one": 3.5,
      "hydra++, 63-node tree at 512": 4.32,
      "hydra++, 63-node tree at 512, device time": 4.3,
      "hydra++, 63-node tree at 512: all launches, one by one": 4.4,
      "hydra++, 63-node tree at 512, phase: verify": 3.57,
      "hydra++: memory beyond weights and caches": 290,
      "plain: prompt of 2048": 56,
    },
  },
  cublas: {
    figures: {
      ...Object.fromEntries(
        ["qkv", "o_proj", "gate_up", "down", "lm_head"].flatMap((product, i) => [
          [`vicuna-7b ${product}, 8 rows`, 0.04 + 0.001 * i],
          [`vicuna-7b ${product}, 8 rows: cuBLAS`, 0.05],
        ]),
      ),
      "vicuna-7b: products of a prompt of 2048, cuBLAS": 40,
    },
    notes: Object.fromEntries(
      ["qkv", "o_proj", "gate_up", "down", "lm_head"].map((product, i) => [
        `vicuna-7b ${product}, 8 rows: GB/s`,
        3600 + 20 * i,
      ]),
    ),
  },
  "tree-attention": {
    figures: { "vicuna-7b, tree at 8192, 64 rows": 0.04 },
  },
  texts: {
    notes: {
      "vicuna-7b: texts compared": 17,
      "vicuna-7b: texts with the same tokens": 17,
      "demo: texts compared": 20,
      "demo: texts with the same tokens": 19,
    },
  },
  torch: {
    figures: {
      "plain, eager at 512": 18,
      "plain, CUDA graph at 512": 5.4,
      "plain, compiled CUDA graph at 512": 3.6,
      "hydra, CUDA graph at 512": 8.64,
    },
  },
});
