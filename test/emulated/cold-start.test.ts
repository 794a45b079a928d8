import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compileAll } from "../../runtime/nvrtc/compile-all.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { compileGraph } from "../../codegen/compile.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { describeSynthetic } from "../../src/api/synthetic-model.ts";
import type { KernelSource, Target } from "../../src/ir/program.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

const [installed] = installedNvrtc();
const directory = mkdtempSync(join(tmpdir(), "hydrant-cold-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** What the demo model needs for a prompt, plain steps and steps over the 63-node tree. */
function demoKernels(target: Target): readonly KernelSource[] {
  const { base, drafter } = describeSynthetic("demo", "hydra++", (weights) => weights);
  const dims = { capacity: 1088, rows: 12 };
  const kernels = [
    buildPrefill(base, drafter),
    buildStep(base, drafter, rootOnly),
    buildStep(base, drafter, namedTree("mc_sim_7b_63")),
  ].flatMap((graph) => compileGraph(graph, dims, target).kernels);
  return [...new Map(kernels.map((kernel) => [kernel.entry, kernel])).values()];
}

describe.skipIf(installed === undefined)(`the demo model's kernels (${NO_NVRTC})`, () => {
  it("are compiled once: a second start finds all of them in the cache", {
    timeout: 120_000,
  }, async () => {
    if (installed === undefined) return;
    const { nvrtc } = installed;
    const target: Target = {
      capability: 80,
      arch: "sm_80",
      nvrtcMajor: nvrtc.version.major,
      multiprocessors: 108,
      activations: "stored",
    };
    let compiledHere = 0;
    const counted = {
      ...nvrtc,
      compile: (input: Parameters<typeof nvrtc.compile>[0]) => {
        compiledHere += 1;
        return nvrtc.compile(input);
      },
    };
    const start = async () => {
      const begin = performance.now();
      const modules = await compileAll(
        counted,
        demoKernels(target).map(({ source, entry }) => ({
          source,
          name: `${entry}.cu`,
          arch: target.arch,
          headers: cudaHeaders(source),
          options: ["--fmad=false"],
        })),
        new KernelCache({ directory }),
      );
      return { modules, ms: performance.now() - begin };
    };
    const cold = await start();
    expect(cold.modules.length).toBeGreaterThan(40);
    expect(cold.modules.some(({ fromCache }) => fromCache)).toBe(false);
    compiledHere = 0;
    const warm = await start();
    expect(compiledHere).toBe(0);
    expect(warm.modules.every(({ fromCache }) => fromCache)).toBe(true);
    expect(warm.ms).toBeLessThan(cold.ms / 4);
  });
});
