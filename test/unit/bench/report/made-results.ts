import { bestTree, expectedTokens } from "../../../../src/speculation/acceptance-table.ts";
import { publishedPaths } from "../../../../src/speculation/named-trees.ts";
import { treeFromPaths } from "../../../../src/speculation/tree.ts";
import type { Environment } from "../../../../bench/decode/environment.ts";
import { type Spread, spread } from "../../../../bench/decode/statistics.ts";
import type { Results } from "../../../../bench/gpu-check/results.ts";
import type {
  CategoryResults,
  MethodResults,
  PromptsResults,
} from "../../../../bench/prompts/results.ts";
import type { BenchEntry, BenchResults, Figure } from "../../../../bench/suite/results.ts";

/*
 * Results that no machine made, of the shape real ones have: for tests of the report and of nothing
 * else. The same seed makes the same results.
 */

export const madeEnvironment: Environment = {
  date: "2026-01-02T03:04:05",
  commit: "0123456789ab",
  node: "v20.19.0",
  system: "linux 6.1.0",
  cpu: "Made-up CPU",
  cores: 8,
  memoryGB: 64,
  loadBefore: 0.1,
};

class Noise {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** From 0 to 1. */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }
  around(value: number, width = 0.05): Spread {
    return spread(Array.from({ length: 7 }, () => value * (1 + width * (this.next() - 0.4))));
  }
}

const gpu = { name: "cuda:0", copyBandwidth: 4.1e12, matrixRate: 7.4e14 };
const products: Readonly<Record<string, readonly [number, number]>> = {
  qkv: [4096, 12288],
  o_proj: [4096, 4096],
  gate_up: [4096, 22016],
  down: [11008, 4096],
  lm_head: [4096, 32000],
};

/** What the suite writes on a GPU and the emulator. @param speed of the kernels, 1 as they are. */
export function madeSuite(seed = 1, speed = 1): BenchResults {
  const noise = new Noise(seed);
  const rows = [1, 8, 16, 32, 64];
  const kernels = Object.entries(products).flatMap(([name, [depth, columns]]) =>
    rows.map((count) => {
      const bytes = 2 * depth * columns + 2 * count * (depth + columns);
      const flops = 2 * count * depth * columns;
      const ms =
        (1e3 / speed) * (Math.max(bytes / 3.4e12, flops / 4.2e14) + 2e-6 * (1 + noise.next()));
      return kernelEntry({ family: "linear", name, rows: count, bytes, flops, ms }, noise);
    }),
  );
  const attention = [512, 2048].flatMap((context) =>
    rows.map((count) => {
      const bytes = 4 * 4096 * context;
      const ms = (1e3 / speed) * (bytes / 1.9e12 + 3e-6 + 5e-8 * count);
      const work = { bytes, flops: 4 * count * 4096 * context, ms };
      return kernelEntry(
        { family: "attention", name: `context ${context}`, rows: count, ...work },
        noise,
      );
    }),
  );
  const steps = ["plain", "hydra++"].flatMap((family) =>
    (family === "plain" ? [1] : rows).map((count) => stepEntry(family, count, noise, speed)),
  );
  return {
    format: "hydrant bench 1",
    command: "npm run bench -- --device cuda --shapes vicuna-7b",
    environment: madeEnvironment,
    devices: [
      { ...gpu, details: "NVIDIA H200, driver 580.65, NVRTC 13.0" },
      { name: "emulator", details: "compute capability 9, NVRTC 13, with the sanitiser" },
    ],
    loadAfter: 1.2,
    seconds: 88,
    entries: [...kernels, ...attention, ...steps, ...decodeEntries(noise), ...countedEntries()],
    prompts: madePrompts(noise),
  };
}

function kernelEntry(
  made: Pick<BenchEntry, "family" | "name" | "rows"> & { bytes: number; flops: number; ms: number },
  noise: Noise,
): BenchEntry {
  const { family, name, rows, bytes, flops, ms } = made;
  const time = noise.around(ms);
  const rate = (work: number): Spread => ({
    median: work / time.median / 1e6,
    min: work / time.max / 1e6,
    max: work / time.min / 1e6,
  });
  return {
    ...entryOf("kernels", family, name, rows),
    figures: {
      time: figure(time, "ms", "lower"),
      bandwidth: figure(rate(bytes), "GB/s", "higher"),
      rate: figure(rate(flops), "GFLOP/s", "higher"),
    },
  };
}

function stepEntry(family: string, rows: number, noise: Noise, speed: number): BenchEntry {
  const parts = {
    linear: 3.9,
    attention: 0.35 + 0.002 * rows,
    accept: 0.02,
    "rms-norm": 0.06,
    topk: 0.03,
    cache: 0.02,
  };
  const times = Object.entries(parts).map(
    ([name, ms]) => [`time: ${name}`, figure(noise.around(ms / speed), "ms", "lower")] as const,
  );
  const total = times.reduce((sum, [, { median }]) => sum + median, 0);
  return {
    ...entryOf("steps", family, "context 512", rows),
    figures: { time: figure(noise.around(total), "ms", "lower"), ...Object.fromEntries(times) },
  };
}

function decodeEntries(noise: Noise): BenchEntry[] {
  const methods = [
    ["plain", "", 1, 4.5],
    ["medusa", "mc_sim_7b_63", 2.6, 5],
    ["hydra", "mc_sim_7b_63", 3.1, 5.2],
    ["hydra++", "mc_sim_7b_63", 3.6, 5.3],
    ["hydra++", "auto", 3.4, 4.9],
  ] as const;
  return methods.map(([family, name, perStep, ms]) => ({
    ...entryOf("decode", family, name, 1),
    figures: {
      rate: figure(noise.around((1000 * perStep) / ms), "tokens/s", "higher"),
      "tokens per step": figure({ median: perStep, min: perStep, max: perStep }, "ratio", "higher"),
    },
    check: { status: "passed", against: "plain decoding", error: 0, tolerance: 0 },
  }));
}

function countedEntries(): BenchEntry[] {
  return [1, 8, 64].map((rows) => ({
    ...entryOf("kernels", "linear", "gate_up", rows),
    id: `kernels/linear/gate_up/demo/${rows}@emulator`,
    shape: "demo",
    device: "emulator",
    figures: {
      instructions: counted(1e6 + 4e4 * rows),
      "instructions: memory": counted(2e5 + 1e4 * rows),
      "instructions: matrix": counted(3e5 + 2e4 * rows),
      "instructions: integer": counted(5e5 + 1e4 * rows),
      "bank conflicts": counted(0),
    },
  }));
}

function counted(value: number): Figure {
  return { median: value, min: value, max: value, unit: "count", count: 1, better: "lower" };
}

function entryOf(suite: BenchEntry["suite"], family: string, name: string, rows: number) {
  return {
    id: `${suite}/${family}/${name}/vicuna-7b/${rows}@cuda:0`,
    suite,
    family,
    name,
    shape: "vicuna-7b",
    device: "cuda:0",
    rows,
    check: {
      status: "passed" as const,
      against: "reference interpreter",
      error: 1e-4,
      tolerance: 1e-3,
    },
    notes: {},
  };
}

function figure(values: Spread, unit: string, better: Figure["better"]): Figure {
  return { ...values, unit, count: 7, better };
}

function madePrompts(noise: Noise): PromptsResults {
  const categories = ["writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem"];
  const heads = [
    ["medusa", 0.56, 0.75],
    ["hydra", 0.6, 0.86],
    ["hydra++", 0.66, 0.9],
  ] as const;
  const category = (name: string, perStep: number, ms: number): CategoryResults => ({
    category: name,
    turns: 8,
    steps: Math.round(1024 / perStep),
    newTokens: 1024,
    tokensPerStep: perStep,
    tokensPerSecond: noise.around((1000 * perStep) / ms),
    speedup: noise.around((perStep * 4.5) / ms),
  });
  const plain: MethodResults = {
    name: "plain",
    method: "autoregressive",
    tree: "",
    nodes: 0,
    overall: category("overall", 1, 4.5),
    categories: categories.map((name) => category(name, 1, 4.5)),
    same: { texts: 56, of: 56 },
  };
  return {
    file: "made.jsonl",
    model: "vicuna-7b",
    device: "cuda:0",
    prompts: 28,
    turns: 56,
    newTokens: 128,
    rounds: 5,
    longPrompts: { rule: "truncate", turns: 0 },
    sampling: "greedy",
    methods: [plain, ...heads.map(([name, first, decay]) => headsResults(name, first, decay))],
  };

  function headsResults(name: string, first: number, decay: number): MethodResults {
    const table = Array.from({ length: 4 }, (_, depth) =>
      Array.from(
        { length: 10 },
        (__, rank) => decay ** depth * (rank === 0 ? first : (0.34 * (1 - first)) / rank ** 1.2),
      ),
    );
    const perStep = expectedTokens(treeFromPaths(publishedPaths("mc_sim_7b_63")), table);
    const same = { turns: 56, of: 56 };
    return {
      name,
      method: "heads",
      tree: "mc_sim_7b_63",
      nodes: 63,
      overall: category("overall", perStep, 5.2),
      categories: categories.map((one) =>
        category(one, perStep * (0.85 + 0.3 * noise.next()), 5.2),
      ),
      same: { texts: 56, of: 56 },
      acceptance: {
        table,
        trials: [7168, 7112, 7056, 7000],
        survival: table.map((_, depth) => 0.72 * decay ** (2 * depth) * 0.8 ** depth),
        check: { expected: perStep, replayed: perStep * 0.99, sameSteps: same },
      },
      sweep: [1, 2, 4, 8, 16, 32, 63].map((nodes) => {
        const tree = bestTree(table, nodes);
        const expected = expectedTokens(tree, table);
        return {
          nodes,
          paths: tree.paths.slice(1),
          expected,
          stepMs: noise.around(4.6 + 0.01 * nodes),
          tokensPerStep: expected * (0.97 + 0.02 * noise.next()),
          sameSteps: same,
        };
      }),
    };
  }
}

/** What a GPU check writes. */
export function madeCheck(): Results {
  const noise = new Noise(3);
  const figures: Record<string, Spread & { unit: string; count: number }> = {};
  for (const what of ["plain step, context 512", "hydra++, 63-node tree, context 512"]) {
    figures[`${what}: all launches, one by one`] = { ...noise.around(4.4), unit: "ms", count: 5 };
    for (const [family, ms] of [
      ["linear", 3.9],
      ["attention", 0.4],
      ["topk", 0.1],
    ] as const)
      figures[`${what}: ${family}`] = { ...noise.around(ms), unit: "ms", count: 5 };
    for (const [phase, ms] of [
      ["draft", 0.6],
      ["verify", 3.8],
    ] as const)
      figures[`${what}, phase: ${phase}`] = { ...noise.around(ms), unit: "ms", count: 5 };
  }
  const none = { failed: [], skipped: [], notes: {} };
  return {
    device: "cuda",
    environment: madeEnvironment,
    parts: {
      driver: { ...none, status: "passed", seconds: 2, passed: 12, figures: {} },
      ops: {
        ...none,
        status: "failed",
        seconds: 9,
        passed: 40,
        failed: [{ name: "softmax <rows>", message: "Error: 0.1 is not 0.2" }],
        skipped: [{ name: "clusters", reason: "needs compute capability 9.0" }],
        figures: {},
      },
      "vicuna-7b": { ...none, status: "passed", seconds: 70, passed: 0, figures },
    },
  };
}
