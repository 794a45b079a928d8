import type { PartRun } from "./part.ts";

export interface Part {
  readonly name: string;
  /** For `--list`. */
  readonly about: string;
  /** Seconds after which its process is ended. */
  readonly limit: number;
  /** Benchmarks and tools mean nothing without a GPU. */
  readonly needsGpu: boolean;
  /** Variables of the environment that let the parts after it do without, where it did not pass. */
  readonly doWithout?: Readonly<Record<string, string>>;
  readonly load: () => Promise<{ readonly run: PartRun }>;
}

/** In the order they run: what everything rests on, what the targets are of, then the long checks. */
export const parts: readonly Part[] = [
  {
    name: "device",
    about: "driver, device, NVRTC, and what doctor says",
    limit: 25,
    needsGpu: false,
    load: () => import("./parts/device.ts"),
  },
  {
    name: "driver",
    about: "the driver interface and the kernels of the conformance suite",
    limit: 45,
    needsGpu: true,
    load: () => import("./parts/driver.ts"),
  },
  {
    name: "overlap",
    about: "launches that overlap, captured and not: the tokens of launches that wait",
    limit: 15,
    needsGpu: true,
    doWithout: { HYDRANT_OVERLAP: "off" },
    load: () => import("./parts/overlap.ts"),
  },
  {
    name: "loop",
    about:
      "a few steps that follow each other on the device: the tokens of steps launched one by one",
    limit: 15,
    needsGpu: true,
    doWithout: { HYDRANT_LOOP: "off" },
    load: () => import("./parts/loop.ts"),
  },
  {
    name: "wgmma",
    about: "products of Hopper's warpgroups beside those of mma.sync: the same results, and times",
    limit: 30,
    needsGpu: false,
    doWithout: { HYDRANT_WGMMA: "off" },
    load: () => import("./parts/wgmma.ts"),
  },
  {
    name: "ops",
    about: "every op against the reference interpreter",
    limit: 60,
    needsGpu: false,
    load: () => import("./parts/ops.ts"),
  },
  {
    name: "rows",
    about: "a row's bits among 1, 2, 7, 33, 64 and 130 rows",
    limit: 50,
    needsGpu: false,
    load: () => import("./parts/rows.ts"),
  },
  {
    name: "demo",
    about: "the demo model: speculative text equals plain text, with every set of heads",
    limit: 45,
    needsGpu: false,
    load: () => import("./parts/demo.ts"),
  },
  {
    name: "ceilings",
    about: "what copies, reads and large matrix products reach",
    limit: 30,
    needsGpu: true,
    load: () => import("./parts/ceilings.ts"),
  },
  {
    name: "vicuna-7b",
    about: "load, prefill and step times, plain and Hydra++, and where a step's time goes",
    limit: 75,
    needsGpu: true,
    load: () => import("./parts/vicuna-7b.ts"),
  },
  {
    name: "cublas",
    about: "matrix products beside cuBLAS's, of every size and number of rows",
    limit: 60,
    needsGpu: true,
    load: () => import("./parts/cublas.ts"),
  },
  {
    name: "tree-attention",
    about: "attention of a tree after 8192 tokens",
    limit: 35,
    needsGpu: true,
    load: () => import("./parts/tree-attention.ts"),
  },
  {
    name: "texts",
    about: "long greedy texts, drafted and plain: the same tokens",
    limit: 80,
    needsGpu: false,
    load: () => import("./parts/texts.ts"),
  },
  {
    name: "torch",
    about: "the same shapes in torch: plain and Hydra++, eager and as CUDA graphs",
    limit: 98,
    needsGpu: true,
    load: () => import("./parts/torch.ts"),
  },
  {
    name: "llama-3.1-8b",
    about: "the same at grouped queries and a large vocabulary",
    limit: 65,
    needsGpu: true,
    load: () => import("./parts/llama-3.1-8b.ts"),
  },
  {
    name: "llama-2-13b",
    about: "the same step times for 13 billion parameters",
    limit: 70,
    needsGpu: true,
    load: () => import("./parts/llama-2-13b.ts"),
  },
  {
    name: "demo-steps",
    about: "step times of a model so small that launches are all of them",
    limit: 40,
    needsGpu: true,
    load: () => import("./parts/demo-steps.ts"),
  },
  {
    name: "device-loop",
    about: "steps that follow each other on the device: the same tokens, and what a step takes",
    limit: 60,
    needsGpu: false,
    load: () => import("./parts/device-loop.ts"),
  },
  {
    name: "bench",
    about: "the benchmark suite: kernels of a 7B model by rows, then its steps as time allows",
    limit: 75,
    needsGpu: true,
    load: () => import("./parts/bench.ts"),
  },
  {
    name: "golden",
    about: "traces of the original implementation",
    limit: 40,
    needsGpu: false,
    load: () => import("./parts/golden.ts"),
  },
  {
    name: "lossless",
    about: "random models: speculation with every kind of heads equals plain decoding",
    limit: 60,
    needsGpu: false,
    load: () => import("./parts/lossless.ts"),
  },
  {
    name: "load",
    about: "a checkpoint from disk to the device",
    limit: 45,
    needsGpu: true,
    load: () => import("./parts/load.ts"),
  },
  {
    name: "sanitizer",
    about: "compute-sanitizer, where it is installed: memory accesses and shared-memory races",
    limit: 75,
    needsGpu: true,
    load: () => import("./parts/sanitizer.ts"),
  },
];
