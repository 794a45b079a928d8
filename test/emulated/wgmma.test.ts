import { describe, expect, it } from "vitest";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { error, RIGHT, runWgmma, type WgmmaCase } from "./wgmma-kernel.ts";

const hopper = installedNvrtc().some(({ nvrtc }) => nvrtc.version.major >= 12);
if (!hopper) describe.skip(`${NO_NVRTC}: wgmma needs NVRTC 12`, () => it("multiplies", () => {}));

const EXACT = 1e-4;

async function kinds(one: WgmmaCase): Promise<{ wrong: boolean; kinds: readonly string[] }> {
  const { c, expected, findings } = await runWgmma(one);
  return { wrong: !(error(c, expected) < EXACT), kinds: findings.map(({ kind }) => kind) };
}

describe.skipIf(!hopper)("wgmma on the emulator", () => {
  it.each([
    [8, "bf16", "registers"],
    [64, "bf16", "registers"],
    [24, "f16", "registers"],
    [128, "f16", "shared"],
    [8, "bf16", "shared"],
    [256, "bf16", "shared"],
  ] as const)("multiplies 64 rows by %i columns of %s, A in %s", async (columns, type, a) => {
    const { c, expected, findings } = await runWgmma({ columns, type, a });
    expect(findings).toEqual([]);
    expect(error(c, expected)).toBeLessThan(EXACT);
  });

  it("starts from zero where scale-d is false", async () => {
    const multiply = `for (float& x : d) x = 1e6f;
  wgmma_fence();
  for (int k = 0; k < 4; ++k) multiply(d, f[k], at_b(k), k > 0);
  wgmma_commit();
  wgmma_wait<0>();`;
    expect(await kinds({ columns: 16, steps: { multiply } })).toEqual({ wrong: false, kinds: [] });
  });

  it("runs double-buffered fragments with one group under way", async () => {
    const multiply = `u32 g[2][4];
  for (int i = 0; i < 4; ++i) g[0][i] = f[0][i];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    wgmma_fence();
    multiply(d, g[k % 2], at_b(k));
    wgmma_commit();
    wgmma_wait<1>();
    if (k < 3) for (int i = 0; i < 4; ++i) g[(k + 1) % 2][i] = f[k + 1][i];
  }
  wgmma_wait<0>();`;
    expect(await kinds({ columns: 64, steps: { multiply } })).toEqual({ wrong: false, kinds: [] });
  });

  /** One fragment for all steps: what a step loads is where the step before still reads. */
  const singleBuffer = (wait: string): string => `u32 g[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < 4; ++i) asm volatile("mov.b32 %0, %1;" : "+r"(g[i]) : "r"(f[k][i]));
    wgmma_fence();
    multiply(d, g, at_b(k));
    wgmma_commit();
    ${wait}
  }
  wgmma_wait<0>();`;

  it("reads registers of A when the group is waited for, and not before", async () => {
    const [late, inTime] = ["", "wgmma_wait<0>();"].map((wait) => singleBuffer(wait));
    expect((await kinds({ columns: 64, steps: { multiply: late } })).wrong).toBe(true);
    expect((await kinds({ columns: 64, steps: { multiply: inTime } })).wrong).toBe(false);
  });

  it.each([
    ["a stage is overwritten", "shared[64 * 128 + threadIdx.x] = 0;"],
    ["an accumulator is read", 'asm volatile("mov.f32 %0, %1;" : "=f"(early) : "f"(d[0]));'],
  ])("gives a wrong result when %s before the wait", async (_, early) => {
    const multiply = `float early = d[0];
  ${RIGHT.multiply.replace("wgmma_commit();", `wgmma_commit();\n  ${early}`)}
  d[0] = early;`;
    expect((await kinds({ columns: 64, steps: { multiply } })).wrong).toBe(true);
  });
});
