import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { noDrafter } from "../../../src/drafters/none.ts";
import { drafterFor } from "../../../src/drafters/registry.ts";
import { type Graph, sourcesOf, typeOf } from "../../../src/ir/graph.ts";
import { elementCount } from "../../../src/ir/shape.ts";
import { parseModelConfig } from "../../../src/models/config.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import { parseHeadsConfig } from "../../../src/models/heads-config.ts";
import { headNames, namedHeads, namedShape, shapeNames } from "../../../src/models/named-shapes.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import type { Drafter } from "../../../src/speculation/drafter.ts";
import { type TreeTopology, treeFromPaths } from "../../../src/speculation/tree.ts";

/** A chain through all heads, so that every one is in the graph. */
function chain(depth: number): TreeTopology {
  return treeFromPaths(
    Array.from({ length: depth }, (_, i) => new Array<number>(i + 1).fill(0)),
    "chain",
  );
}

function model(shape: string): BaseModel {
  return { config: namedShape(shape), storedType: () => "bf16", cacheType: "bf16" };
}

/** Elements of the graphs' parameters whose names have the prefix, or have not. */
function parameterCount(base: BaseModel, drafter: Drafter, ofHeads: boolean): number {
  const counts = new Map<string, number>();
  const add = (graph: Graph) => {
    for (const { name, value } of sourcesOf(graph, "parameter"))
      if (name.startsWith("heads.") === ofHeads)
        counts.set(name, elementCount(typeOf(graph, value).shape));
  };
  add(buildPrefill(base, drafter));
  add(buildStep(base, drafter, chain(drafter.maxDepth)));
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function headCount(shape: string, heads: string, names: string[] = []): number {
  const base = model(shape);
  return parameterCount(base, drafterFor(base, namedHeads(heads), names), true);
}

describe("model shapes by name", () => {
  // Published parameter counts (the totals of the repositories' safetensors indices).
  it.each([
    ["llama-2-7b", 6_738_415_616],
    ["llama-2-13b", 13_015_864_320],
    ["vicuna-7b", 6_738_415_616],
    ["vicuna-13b", 13_015_864_320],
    ["vicuna-33b", 32_528_943_616],
    ["llama-3.1-8b", 8_030_261_248],
    ["llama-3.1-70b", 70_553_706_496],
    ["qwen2-7b", 7_615_616_512],
    ["mistral-7b", 7_248_023_552],
  ])("have the parameters of %s", (shape, count) => {
    expect(parameterCount(model(shape), noDrafter(), false)).toBe(count);
  });

  it("have the demo model's sizes", () => {
    const file = new URL("../../../demo/model/base/config.json", import.meta.url);
    const { bosTokenId, padTokenId, slidingWindow, dtype, ...published } = parseModelConfig(
      JSON.parse(readFileSync(file, "utf8")),
      "config.json",
    );
    expect(namedShape("demo")).toEqual({ ...published, eosTokenIds: [] });
  });

  it("have the constants of their families", () => {
    expect(namedShape("llama-3.1-8b").rope).toEqual(
      parseModelConfig(
        {
          ...demoLike,
          rope_theta: 500000.0,
          rope_scaling: {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
            rope_type: "llama3",
          },
        },
        "config.json",
      ).rope,
    );
    expect(namedShape("vicuna-7b")).toMatchObject({ rmsNormEps: 1e-6, maxPositions: 2048 });
    expect(namedShape("llama-2-7b")).toMatchObject({ rmsNormEps: 1e-5, maxPositions: 4096 });
    expect(namedShape("qwen2-7b")).toMatchObject({ qkvBias: true, outputBias: false });
    expect(namedShape("mistral-7b").rope.theta).toBe(1e6);
  });

  it("are as consistent as those that are read from files", () => {
    expect(shapeNames).toHaveLength(10);
    for (const name of shapeNames) {
      const { heads, kvHeads, headDim, hiddenSize } = namedShape(name);
      expect([name, heads % kvHeads, heads * headDim]).toEqual([name, 0, hiddenSize]);
    }
  });

  it("are listed when a name is unknown", () => {
    for (const name of ["gpt-2", "toString", ""]) {
      expect(() => namedShape(name)).toThrowError(
        expect.objectContaining({
          code: "config/unknown-shape",
          hint: expect.stringContaining("llama-2-7b, llama-2-13b"),
        }),
      );
    }
  });
});

describe("draft heads by name", () => {
  // The published files also hold copies of two of the base's matrices [V, D]; 16 bits an element.
  it.each([
    ["vicuna-7b", 3.05],
    ["vicuna-13b", 4.28],
    ["vicuna-33b", 6.46],
  ])("have the size of the published Hydra++ heads of %s", (shape, gigabytes) => {
    const { vocabSize, hiddenSize } = namedShape(shape);
    const bytes = 2 * (headCount(shape, "hydra++") + 2 * vocabSize * hiddenSize);
    expect(Math.abs(bytes / 1e9 - gigabytes)).toBeLessThan(0.01);
  });

  it("have the size of the published Medusa heads", () => {
    const names = Array.from({ length: 5 }, (_, head) => `${head}.0.linear.weight`);
    const bytes = 2 * headCount("vicuna-7b", "medusa", [...names, "0.1.weight"]);
    expect(Math.abs(bytes / 1e9 - 1.48)).toBeLessThan(0.01);
  });

  it("are what their config files say", () => {
    const published = {
      hydra_num_heads: 4,
      hydra_num_layers: 4,
      hydra_head_arch: "prefix-mlp",
      grounded_heads: true,
      hidden_state_offset: 0,
    };
    const { baseModel, ...config } = parseHeadsConfig(published, "config.json");
    expect(namedHeads("hydra++")).toEqual(config);
    expect(namedHeads("hydra")).toMatchObject({ arch: "mlp", numLayers: 1, grounded: true });
    expect(headNames).toEqual(["hydra++", "hydra", "medusa"]);
  });

  it("are listed when a name is unknown", () => {
    expect(() => namedHeads("eagle")).toThrowError(
      expect.objectContaining({
        code: "config/unknown-heads",
        hint: "Known are hydra++, hydra, medusa.",
      }),
    );
  });
});

const demoLike = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 256,
  intermediate_size: 704,
  max_position_embeddings: 1024,
  num_attention_heads: 4,
  num_hidden_layers: 5,
  rms_norm_eps: 1e-5,
  vocab_size: 2048,
};
