import { describe, expect, it } from "vitest";
import { parseKernelArg, runKernel } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { error, RIGHT, runWgmma, type WgmmaCase } from "./wgmma-kernel.ts";

const hopper = installedNvrtc().some(({ nvrtc }) => nvrtc.version.major >= 12);
if (!hopper) describe.skip(`${NO_NVRTC}: wgmma needs NVRTC 12`, () => it("multiplies", () => {}));

const EXACT = 1e-4;

async function kinds(one: WgmmaCase): Promise<{ wrong: boolean; kinds: readonly string[] }> {
  const { c, expected, findings } = await runWgmma(one);
  return {
    wrong: !(error(c, expected) < EXACT),
    kinds: [...new Set(findings.map(({ kind }) => kind))],
  };
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

  it("gives the bits of mma.sync, which sums in the same order here", async () => {
    const multiply = `for (int k = 0; k < 4; ++k)
    for (int n = 0; n < 8; ++n) {
      const u32* from = reinterpret_cast<const u32*>(b + (8 * n + lane / 4) * 64 + 16 * k + 2 * (lane % 4));
      const u32 fragment[2] = {from[0], from[4]};
      mma_m16n8k16_bf16(reinterpret_cast<float (&)[4]>(d[4 * n]), f[k], fragment);
    }`;
    const [mma, ...others] = await Promise.all([
      runWgmma({ columns: 64, steps: { multiply } }),
      runWgmma({ columns: 64 }),
      runWgmma({ columns: 64, a: "shared" }),
    ]);
    for (const { c } of others)
      expect(new Uint32Array(c.buffer)).toEqual(new Uint32Array(mma.c.buffer));
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
    const after = (wait: string) => kinds({ columns: 64, steps: { multiply: singleBuffer(wait) } });
    expect(await after("")).toEqual({ wrong: true, kinds: ["missing-wait"] });
    expect(await after("wgmma_wait<0>();")).toEqual({ wrong: false, kinds: [] });
  });

  it("reports a stage that is overwritten before the wait, and what wgmma made of it", async () => {
    const overwrite = "shared[64 * 128 + threadIdx.x] = 0;";
    const multiply = RIGHT.multiply.replace("wgmma_commit();", `wgmma_commit();\n  ${overwrite}`);
    const found = await kinds({ columns: 64, steps: { multiply } });
    expect(found.wrong).toBe(true);
    expect(found.kinds).toContain("missing-wait");
  });

  it("reads accumulators as they are before the wait", async () => {
    const read = 'asm volatile("mov.f32 %0, %1;" : "=f"(early) : "f"(d[0]));';
    const multiply = `float early;
  ${RIGHT.multiply.replace("wgmma_commit();", `wgmma_commit();\n  ${read}`)}
  d[0] = early;`;
    expect(await kinds({ columns: 64, steps: { multiply } })).toEqual({
      wrong: true,
      kinds: ["missing-wait"],
    });
  });

  it("reports registers written with no wgmma.fence before the product", async () => {
    const write = 'asm volatile("mov.f32 %0, 0f00000000;" : "+f"(d[0]));';
    const fence = "wgmma_fence();";
    const found = async (begin: string) =>
      (await kinds({ columns: 8, steps: { multiply: RIGHT.multiply.replace(fence, begin) } }))
        .kinds;
    expect(await found(`${write}\n  ${fence}`)).toEqual([]);
    expect(await found(write)).toEqual(["missing-fence"]);
  });

  it("reports groups that nobody waits for", async () => {
    const multiply = RIGHT.multiply.replace("wgmma_wait<0>();", "");
    expect((await kinds({ columns: 8, steps: { multiply } })).kinds).toContain("missing-wait");
  });

  const copies =
    "cp_async_16(base + to, from);\n    if (i + 128 >= (64 + 16) * 8) { cp_async_commit(); }";
  it.each([
    ["a store", RIGHT.fill, "", "async_proxy_fence();"],
    ["cp.async", copies, "cp_async_wait<0>();", "cp_async_wait<0>(); async_proxy_fence();"],
    [
      "cp.async whose fence comes before its wait",
      copies,
      "async_proxy_fence(); cp_async_wait<0>();",
      "cp_async_wait<0>(); async_proxy_fence();",
    ],
    [
      "a store whose fence another thread executes",
      RIGHT.fill,
      "if (threadIdx.x == 0) async_proxy_fence();",
      "async_proxy_fence(); if (threadIdx.x == 0) async_proxy_fence();",
    ],
  ])("reports that %s is not fenced from the async proxy", async (_, fill, without, publish) => {
    const [a, columns] = ["shared", 16] as const;
    const missing = await kinds({ columns, a, steps: { fill, publish: without } });
    expect(missing).toEqual({ wrong: false, kinds: ["missing-fence"] });
    const right = await kinds({ columns, a, steps: { fill, publish } });
    expect(right).toEqual({ wrong: false, kinds: [] });
  });

  it("reports a fence that only comes after the barrier", async () => {
    const multiply = `async_proxy_fence();\n  ${RIGHT.multiply}`;
    expect((await kinds({ columns: 8, steps: { publish: "", multiply } })).kinds).toEqual([
      "missing-fence",
    ]);
  });

  it("wants a fence between stores and bulk copies out of shared memory", async () => {
    const run = async (fence: string) => {
      const { findings } = await runKernel({
        source: `#include "prelude/all.cuh"
extern "C" __global__ void k(u32* out) {
  __shared__ alignas(16) u32 tile[32];
  tile[threadIdx.x] = threadIdx.x;
  ${fence}
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;" ::"l"(out), "r"(shared_address(tile)) : "memory");
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}`,
        fileName: "bulk-test.cu",
        entry: "k",
        grid: { x: 1, y: 1, z: 1 },
        block: { x: 32, y: 1, z: 1 },
        args: [parseKernelArg("u32:32:uninit")],
        arch: "sm_90",
      });
      return findings.map(({ kind }) => kind);
    };
    expect(await run("")).toEqual(["missing-fence"]);
    expect(await run("async_proxy_fence();")).toEqual([]);
  });
});
