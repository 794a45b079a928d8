import { describe, expect, it } from "vitest";
import {
  chooseConfig,
  configName,
  linearCandidates,
  tunableLinear,
  tuningKey,
} from "../../../kernels/linear/candidates.ts";
import { configure } from "../../../kernels/linear/configure.ts";
import { tileCount } from "../../../kernels/linear/tiling.ts";
import type { LinearShape } from "../../../kernels/linear/linear.ts";
import type { Target } from "../../../src/ir/program.ts";

const h200: Target = {
  capability: 90,
  arch: "sm_90a",
  nvrtcMajor: 13,
  multiprocessors: 132,
  activations: "stored",
};
const a100: Target = { ...h200, capability: 80, arch: "sm_80", multiprocessors: 108 };
const rtx4090: Target = { ...h200, capability: 89, arch: "sm_89", multiprocessors: 128 };

const shape = (
  kind: LinearShape["epilogue"]["kind"],
  inputs: number,
  outputs: readonly number[],
  headDim?: number,
  dtype: LinearShape["x"]["dtype"] = "bf16",
): LinearShape => ({
  x: { buffer: 0, dtype },
  inputs,
  weights: outputs.map((count, i) => ({ buffer: i + 1, dtype, outputs: count })),
  epilogue: { kind, headDim },
});

const shapes = {
  "output projection 7B": shape("elementwise", 4096, [4096]),
  "gate and up 8B": shape("elementwise", 4096, [14336, 14336]),
  "q, k, v 8B": shape("rope-cache", 4096, [4096, 1024, 1024], 128),
  "LM head 8B": shape("topk", 4096, [128256]),
  odd: shape("elementwise", 1040, [72]),
  "tiny model": shape("rope-cache", 48, [48, 24, 24], 24),
};
const rowCounts = [1, 7, 16, 33, 64, 128, 500];

describe.each(Object.entries(shapes))("candidates of %s", (_, layer) => {
  it.each([h200, a100, rtx4090])(
    "on $arch begin with the usual one, are 12 at most and differ",
    (target) => {
      for (const rows of rowCounts) {
        const all = linearCandidates(layer, rows, target);
        expect(all[0]).toEqual(configure(layer, rows, target));
        expect(all.length).toBeLessThanOrEqual(12);
        expect(new Set(all.map(configName)).size).toBe(all.length);
      }
    },
  );

  it.each([h200, a100, rtx4090])(
    "on $arch sum the same parts, in ways the kernel asserts",
    (target) => {
      const limit = { sm_90a: 228, sm_80: 164, sm_89: 100 }[target.arch] ?? 0;
      for (const rows of rowCounts) {
        const usual = configure(layer, rows, target);
        for (const config of linearCandidates(layer, rows, target)) {
          const { parts, split, warpsK, warpsOutputs, warpsRows, rowTile, threads } = config;
          expect(parts).toBe(usual.parts);
          expect(config.tileOutputs).toBe(usual.tileOutputs);
          expect([1, parts]).toContain(parts / (split * warpsK));
          const producers = config.instruction === "wgmma" ? 1 : 0;
          expect(threads).toBe(32 * (warpsOutputs * warpsRows * warpsK + producers));
          expect(config.instruction).toBe(usual.instruction);
          const shared = split * config.clusterRows * config.clusterOutputs;
          expect(shared).toBeLessThanOrEqual(8);
          expect(rowTile / config.clusterOutputs).toBeGreaterThanOrEqual(8);
          expect(rowTile % (8 * warpsRows)).toBe(0);
          expect(config.blockTiles).toBeLessThanOrEqual(tileCount(layer));
          expect(config.resident * (config.sharedBytes + 1024)).toBeLessThanOrEqual(limit * 1024);
          expect(config.resident * threads).toBeLessThanOrEqual(1536);
          expect(config.cluster && (target.capability < 90 || split === 1)).toBe(false);
        }
      }
    },
  );
});

it("layers of a model have several candidates, f32 layers have none to choose from", () => {
  for (const rows of [1, 64, 512])
    expect(linearCandidates(shapes["output projection 7B"], rows, h200).length).toBeGreaterThan(4);
  expect(
    tunableLinear(shape("elementwise", 4096, [4096], undefined, "f32"), 1, h200),
  ).toBeUndefined();
});

it("a tuning's choice is taken by key and name, any other text means the usual one", () => {
  const layer = shapes["gate and up 8B"];
  const key = tuningKey(layer, 64, h200);
  const [usual, , third] = linearCandidates(layer, 64, h200);
  if (usual === undefined || third === undefined) throw new Error("too few candidates");
  const tuned = (choice: string) => ({ ...h200, tuning: { choices: { [key]: choice } } });
  expect(chooseConfig(layer, 64, tuned(configName(third)))).toEqual(third);
  expect(chooseConfig(layer, 64, tuned("of another version"))).toEqual(usual);
  expect(chooseConfig(layer, 8, tuned(configName(third)))).toEqual(configure(layer, 8, h200));
  expect(chooseConfig(layer, 64, h200)).toEqual(usual);
  expect(tunableLinear(layer, 64, tuned(configName(third)))?.chosen).toBe(configName(third));
});

it("keys stay what they are, and rows count as far as configurations depend on them", () => {
  const key = (rows: number) => tuningKey(shapes["q, k, v 8B"], rows, h200);
  expect(key(1)).toBe("linear sm_90a bf16 4096+1024+1024x4096 rope-cache:128 rows 8x1");
  expect(key(8)).toBe(key(1));
  expect(key(500)).toBe("linear sm_90a bf16 4096+1024+1024x4096 rope-cache:128 rows 128x4");
  for (const [few, many] of [
    [33, 64],
    [385, 512],
  ] as const) {
    expect(key(few)).toBe(key(many));
    expect(linearCandidates(shapes["LM head 8B"], few, h200)).toEqual(
      linearCandidates(shapes["LM head 8B"], many, h200),
    );
  }
});
