import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { inspect, inspectStages } from "../../../src/index.ts";

const demo = fileURLToPath(new URL("../../../demo/model/", import.meta.url));

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
    for (const stage of inspectStages) {
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
    expect(await code({ shape: "demo", tree: "chain-3" })).toBe("tree/deeper-than-heads");
    expect(await code({ shape: "demo", contextLength: 1e9 })).toBe("load/context");
  });
});
