import { describe, expect, it } from "vitest";
import { configure } from "../../../kernels/linear/configure.ts";
import { inputParts, tileCount } from "../../../kernels/linear/tiling.ts";
import type { LinearShape } from "../../../kernels/linear/linear.ts";
import type { Target } from "../../../src/ir/program.ts";

const h100: Target = {
  capability: 90,
  arch: "sm_90a",
  nvrtcMajor: 13,
  multiprocessors: 132,
  activations: "stored",
};
const a100: Target = { ...h100, capability: 80, arch: "sm_80", multiprocessors: 108 };
const rtx4090: Target = { ...h100, capability: 89, arch: "sm_89", multiprocessors: 128 };

function shape(
  kind: LinearShape["epilogue"]["kind"],
  inputs: number,
  outputs: readonly number[],
  headDim?: number,
): LinearShape {
  return {
    x: { buffer: 0, dtype: "bf16" },
    inputs,
    weights: outputs.map((count, i) => ({ buffer: i + 1, dtype: "bf16", outputs: count })),
    epilogue: { kind, headDim },
  };
}

/** Layers of Llama 7B, 8B and 1B, odd heads and tiny models. */
const shapes = {
  "output projection 7B": shape("elementwise", 4096, [4096]),
  "down 7B": shape("elementwise", 11008, [4096]),
  "gate and up 7B": shape("elementwise", 4096, [11008, 11008]),
  "gate and up 8B": shape("elementwise", 4096, [14336, 14336]),
  "q, k, v 7B": shape("rope-cache", 4096, [4096, 4096, 4096], 128),
  "q, k, v 8B": shape("rope-cache", 4096, [4096, 1024, 1024], 128),
  "q, k, v 1B": shape("rope-cache", 2048, [2048, 512, 512], 64),
  "heads of 80": shape("rope-cache", 2560, [2560, 2560, 2560], 80),
  "heads of 256": shape("rope-cache", 2048, [2048, 256, 256], 256),
  "LM head 7B": shape("topk", 4096, [32000]),
  "LM head 8B": shape("topk", 4096, [128256]),
  "tiny model": shape("rope-cache", 48, [48, 24, 24], 24),
  "one output": shape("elementwise", 5, [1]),
};
const rowCounts = [1, 8, 9, 16, 17, 33, 64, 65, 128, 129, 500, 2048];

describe.each(Object.entries(shapes))("a linear layer: %s", (_, layer) => {
  it.each([h100, a100, rtx4090])("fits the shared memory and threads of $arch", (target) => {
    const limit = { sm_90a: 227, sm_80: 163, sm_89: 99 }[target.arch] ?? 0;
    for (const rows of rowCounts) {
      const { threads, sharedBytes, stages, resident, rowTile } = configure(layer, rows, target);
      expect(sharedBytes + 1024).toBeLessThanOrEqual(limit * 1024);
      expect(resident * (sharedBytes + 1024)).toBeLessThanOrEqual((limit + 1) * 1024);
      expect(threads).toBeLessThanOrEqual(512);
      expect(stages).toBeGreaterThanOrEqual(2);
      expect(rowTile % 8).toBe(0);
    }
  });

  it("is cut the same for row counts of one bucket", () => {
    for (const [few, many] of [
      [1, 8],
      [33, 64],
      [65, 128],
      [1100, 2048],
    ] as const) {
      expect(configure(layer, few, h100)).toEqual(configure(layer, many, h100));
    }
  });

  it("is summed in the same parts and tiles whatever the rows and the device", () => {
    for (const target of [h100, a100, rtx4090]) {
      for (const rows of rowCounts) {
        const config = configure(layer, rows, target);
        expect(config.parts).toBe(inputParts(layer.inputs));
        expect(config.tileOutputs).toBe(configure(layer, 1, h100).tileOutputs);
        expect([1, config.parts]).toContain(config.warpsK);
        expect([1, config.parts]).toContain(config.split);
      }
    }
  });
});

const cutOf = (layer: LinearShape, rows: number, target: Target) => {
  const config = configure(layer, rows, target);
  const { blockTiles, split, warpsK, rowTile, clusterRows, clusterOutputs } = config;
  const blocks = Math.ceil(tileCount(layer) / blockTiles) * split;
  return { blocks, split, warpsK, rowTile, copies: [clusterRows, clusterOutputs] };
};

describe("linear layers of 7B on Hopper's warpgroups", () => {
  const cut = (layer: LinearShape, rows: number) => cutOf(layer, rows, h100);

  it("share the inputs among the blocks of a cluster where outputs are few", () => {
    const alone = { blocks: 128, split: 4, warpsK: 1, rowTile: 8, copies: [1, 1] };
    expect(cut(shapes["output projection 7B"], 1)).toEqual(alone);
    expect(cut(shapes["q, k, v 7B"], 1)).toMatchObject({ blocks: 384, split: 4 });
  });

  it("share copies of activations where these are many, and of weights where there are row tiles", () => {
    expect(cut(shapes["output projection 7B"], 64)).toMatchObject({ split: 4, copies: [1, 2] });
    expect(cut(shapes["gate and up 7B"], 64)).toMatchObject({ split: 1, copies: [1, 2] });
    expect(cut(shapes["gate and up 7B"], 2048)).toMatchObject({ rowTile: 128, copies: [2, 4] });
  });

  it("share no inputs where outputs alone fill the device", () => {
    expect(cut(shapes["gate and up 7B"], 64)).toMatchObject({ blocks: 172, split: 1 });
    expect(cut(shapes["LM head 8B"], 64)).toMatchObject({ blocks: 1002, split: 1 });
  });

  it("are those whose rows a tensor map can describe", () => {
    expect(configure(shapes["tiny model"], 1, h100).instruction).toBe("wgmma");
    expect(configure(shapes["one output"], 1, h100).instruction).toBe("mma");
    expect(configure(shapes["down 7B"], 1, { ...h100, arch: "sm_90" }).instruction).toBe("mma");
    expect(configure(shapes["down 7B"], 1, { ...h100, nvrtcMajor: 11 }).instruction).toBe("mma");
  });
});

describe("linear layers of 7B on 132 multiprocessors with mma.sync", () => {
  const plain: Target = { ...h100, arch: "sm_90" };
  const cut = (layer: LinearShape, rows: number) => cutOf(layer, rows, plain);

  it("share the inputs among warps where narrow blocks fill the device", () => {
    const narrow = { blocks: 128, split: 1, warpsK: 4, rowTile: 8 };
    expect(cut(shapes["output projection 7B"], 1)).toMatchObject(narrow);
  });

  it("share the inputs among blocks where activations are many", () => {
    const shared = { blocks: 128, split: 4, warpsK: 1, rowTile: 64 };
    expect(cut(shapes["output projection 7B"], 64)).toMatchObject(shared);
    expect(cut(shapes["q, k, v 7B"], 1)).toMatchObject({ blocks: 384, split: 4 });
  });

  it("share nothing where outputs alone fill the device", () => {
    expect(cut(shapes["gate and up 7B"], 64)).toMatchObject({ blocks: 172, split: 1, warpsK: 1 });
    expect(cut(shapes["LM head 8B"], 64)).toMatchObject({ blocks: 1002, split: 1, warpsK: 1 });
  });
});
