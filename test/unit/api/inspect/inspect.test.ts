import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { inspect, inspectStages } from "../../../../src/index.ts";

const demo = fileURLToPath(new URL("../../../../demo/model/", import.meta.url));

describe("inspection without a GPU", () => {
  it("prints the plan of a Hydra++ step of a 32-layer model with what it moves", async () => {
    const plan = await inspect({ shape: "vicuna-7b", heads: "hydra++" });
    const [, launches] = /^ +launches +(\d+)$/m.exec(plan) ?? [];
    // Six kernels a layer at most, and the heads.
    expect(Number(launches)).toBeGreaterThan(32 * 4);
    expect(Number(launches)).toBeLessThan(32 * 7 + 60);
    // 13.2 GB of base weights and 2.5 to 2.9 GB of heads, whose LM head a tree of depth 4 uses whole.
    const [, weights] = /^ +weights +([\d.]+) GB$/m.exec(plan) ?? [];
    expect(Number(weights)).toBeGreaterThan(15.5);
    expect(Number(weights)).toBeLessThan(16.5);
    expect(plan).toMatch(/31 times, all together/);
    expect(await inspect({ shape: "vicuna-7b", heads: "hydra++", fold: false })).not.toMatch(
      /times, all together/,
    );
  });

  it("reads names and types of a checkpoint and none of its weights", async () => {
    const model = `${demo}base`;
    const heads = `${demo}heads/hydra`;
    // The others need a compiler: test/compile/inspect.test.ts.
    for (const stage of inspectStages.filter((name) => !["specs", "ptx", "sass"].includes(name))) {
      const text = await inspect({ model, heads, stage, graph: "prefill", rows: 100 });
      expect(text.length, stage).toBeGreaterThan(500);
    }
    expect(await inspect({ model, stage: "graph" })).toContain(
      'parameter "model.embed_tokens.weight" : bf16[2048, 256]',
    );
  });

  it("prints the CUDA of the kernels that are asked for", async () => {
    const cuda = await inspect({
      shape: "demo",
      stage: "cuda",
      kernel: "rope_cache",
      arch: "sm_80",
    });
    expect(cuda).toContain('extern "C" __global__');
    expect(cuda.match(/^linear_\w+rope_cache\w+\(/gm)?.length).toBeGreaterThan(0);
    expect(cuda).not.toMatch(/^accept_/m);
    await expect(inspect({ shape: "demo", stage: "cuda", kernel: "conv" })).rejects.toMatchObject({
      code: "inspect/kernel",
    });
  });

  it("prints CUDA that includes nothing, with the options that compile it", async () => {
    const options = { shape: "demo", stage: "cuda", arch: "sm_80", kernel: "rms-norm" } as const;
    const cuda = await inspect(options);
    expect(cuda).not.toMatch(/#\s*(include|pragma once)/);
    expect(cuda).toMatch(/^\/\/ ==== rms_norm_\w+\.cu =+$/m);
    expect(cuda).toContain(
      "// NVRTC: --gpu-architecture=sm_80 --std=c++17 --generate-line-info --ptxas-options=-v --fmad=false\n",
    );
    expect(cuda).toMatch(/^\/\/ nvcc --cubin -arch=sm_80 --std=c\+\+17 -lineinfo .*\.cu$/m);
    const generated = await inspect({ ...options, generated: true });
    expect(generated).toMatch(/^#include "kernels\/rms-norm\/rms-norm\.cuh"$/m);
    expect(generated.length).toBeLessThan(cuda.length / 4);
  });

  it("prints groups of nodes after fusion", async () => {
    const fused = await inspect({ shape: "demo", stage: "fused" });
    expect(fused).toMatch(/^rope_linear\n {2}%\d+ = linear .*# layers\.0\.q_proj$/m);
    expect(fused.match(/^attention$/gm)?.length).toBeGreaterThanOrEqual(5);
  });

  it("has Hydra++ heads and their tree with a shape alone, and none on request", async () => {
    const plan = (options: Parameters<typeof inspect>[0]) => inspect({ shape: "demo", ...options });
    expect(await plan({})).toBe(await plan({ heads: "hydra++", tree: "mc_sim_7b_63" }));
    expect(await plan({ heads: "none" })).not.toContain("draft");
  });

  it("takes a tree from a JSON file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hydrant-tree-"));
    const tree = join(folder, "bush.json");
    writeFileSync(tree, "[[0], [1], [0, 0]]");
    expect(await inspect({ shape: "demo", tree })).toContain("rows = 4");
    rmSync(folder, { recursive: true });
  });

  it("has the plan as JSON", async () => {
    const plan = JSON.parse(await inspect({ shape: "demo", json: true }));
    expect(plan.launches.at(-1)).toMatchObject({ label: "finish", grid: [1, 1, 1] });
    expect(plan.repeats).toContainEqual({ start: expect.any(Number), period: 5, times: 4 });
    expect(plan.memory.weights).toBeGreaterThan(1e6);
  });

  it("has the same text for a GPU with the same architecture, and f32 caches on request", async () => {
    const options = { shape: "demo", stage: "cuda", arch: "sm_89" } as const;
    expect(await inspect(options)).toBe(await inspect(options));
    expect(await inspect({ shape: "demo", stage: "graph" })).toContain('state "kv.0.k" : bf16[');
    expect(await inspect({ shape: "demo", stage: "graph", precision: "f32" })).toContain(
      'state "kv.0.k" : f32[',
    );
  });

  it("refuses what it does not know", async () => {
    const code = (options: Parameters<typeof inspect>[0]) =>
      inspect(options).then(
        () => "nothing",
        (error: unknown) => (error as { code?: string }).code,
      );
    expect(await code({})).toBe("inspect/input");
    expect(await code({ shape: "demo", model: demo })).toBe("inspect/input");
    expect(await code({ shape: "gpt-5" })).toBe("config/unknown-shape");
    expect(await code({ shape: "demo", heads: "hydra+++" })).toBe("config/unknown-heads");
    expect(await code({ shape: "demo", arch: "sm_75" })).toBe("inspect/arch");
    expect(await code({ shape: "demo", arch: "gfx90a" })).toBe("inspect/arch");
    expect(await code({ shape: "demo", arch: "sm_80a" })).toBe("inspect/arch");
    expect(await code({ shape: "demo", heads: "none", tree: "chain-3" })).toBe(
      "tree/deeper-than-heads",
    );
    expect(await code({ shape: "demo", tree: "/nowhere/tree.json" })).toBe("tree/file");
    expect(await code({ shape: "demo", contextLength: 1e9 })).toBe("load/context");
  });
});
