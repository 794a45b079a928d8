import { describe, expect, it } from "vitest";
import { compileGraph } from "../../codegen/compile.ts";
import { compileAll } from "../../runtime/nvrtc/compile-all.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { describeSynthetic } from "../../src/api/synthetic-model.ts";
import type { KernelSource, Target } from "../../src/ir/program.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { shapeNames } from "../../src/models/named-shapes.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

/**
 * Architectures, and the oldest compiler that has all of each. All kernels of all shapes for all of
 * them take two cores five minutes (`HYDRANT_COMPILE_ALL=1`); without, only the newest gets all and
 * the others those of one shape.
 */
const architectures = [
  { arch: "sm_80", multiprocessors: 108, sharedKiB: 163, major: 11, full: false },
  { arch: "sm_86", multiprocessors: 84, sharedKiB: 99, major: 11, full: false },
  { arch: "sm_89", multiprocessors: 128, sharedKiB: 99, major: 11, full: false },
  { arch: "sm_90", multiprocessors: 132, sharedKiB: 227, major: 11, full: false },
  { arch: "sm_90a", multiprocessors: 132, sharedKiB: 227, major: 12, full: true },
];
const everything = process.env.HYDRANT_COMPILE_ALL === "1";

/** Of a multiprocessor, which gives them to a warp in portions of 256. */
const registers = 65536;

/** What runs all the time, and so may not keep registers in memory. */
const hot = new Set(["linear", "attention", "rms-norm", "embedding"]);

const compilers = installedNvrtc();

describe.skipIf(compilers.length === 0)(`kernels of the published shapes (${NO_NVRTC})`, () => {
  describe.each(architectures)("for $arch", ({ arch, multiprocessors, sharedKiB, major, full }) => {
    // Newer compilers are twice as fast.
    const compiler = compilers
      .filter(({ nvrtc }) => nvrtc.version.major >= major)
      .sort((a, b) => b.nvrtc.version.major - a.nvrtc.version.major)[0];
    const shapes = full || everything ? shapeNames : ["llama-3.1-8b"];
    it.skipIf(compiler === undefined)(
      "compile, their blocks fit a multiprocessor, and the hot ones keep everything in registers",
      { timeout: 600_000 },
      async () => {
        if (compiler === undefined) return;
        const { nvrtc } = compiler;
        const capability = Number(arch.slice(3, 5));
        const target = { capability, arch, nvrtcMajor: nvrtc.version.major, multiprocessors };
        const kernels = [...kernelsOf(shapes, { ...target, activations: "stored" }).values()];
        const compiled = await compileAll(
          nvrtc,
          kernels.map(({ source, entry }) => ({
            source,
            name: `${entry}.cu`,
            arch,
            headers: cudaHeaders(source),
            options: ["--fmad=false"],
          })),
        );
        const wrong = kernels.flatMap(({ entry, family, threads, sharedBytes }, index) => {
          const usage = compiled[index]?.resources[entry];
          if (usage === undefined) return [`${entry} was not compiled`];
          const shared = sharedBytes + usage.sharedBytes;
          const found: string[] = [];
          if (hot.has(family) && usage.spillBytes > 0)
            found.push(`${entry} spills ${usage.spillBytes} bytes`);
          if (Math.ceil(usage.registers / 8) * 8 * threads > registers)
            found.push(`${entry}: ${usage.registers} registers for each of ${threads} threads`);
          if (shared > sharedKiB * 1024) found.push(`${entry}: ${shared} bytes of shared memory`);
          // That cache takes no part in the wait for the kernel before; weights alone may go through it.
          if (/ld\.global\.nc(?!\.L1::no_allocate)/.test(compiled[index]?.ptx ?? ""))
            found.push(`${entry} reads through the cache that sees nobody's writes`);
          return found;
        });
        expect(wrong).toEqual([]);
        expect(kernels.length).toBeGreaterThan(30 * Math.sqrt(shapes.length));
      },
    );
  });
});

/** The kernels of every shape: a Hydra++ step over the 63-node tree, a plain step, a prefill. */
function kernelsOf(shapes: readonly string[], target: Target): ReadonlyMap<string, KernelSource> {
  const kernels = new Map<string, KernelSource>();
  for (const name of shapes) {
    const { base, drafter } = describeSynthetic(name, "hydra++", (weights) => weights);
    const dims = { capacity: 4096, rows: 512 };
    for (const graph of [
      buildStep(base, drafter, namedTree("mc_sim_7b_63")),
      buildStep(base, drafter, rootOnly),
      buildPrefill(base, drafter),
    ]) {
      for (const kernel of compileGraph(graph, dims, target).kernels)
        kernels.set(kernel.entry, kernel);
    }
  }
  return kernels;
}
