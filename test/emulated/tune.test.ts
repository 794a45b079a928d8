import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { compileGraph } from "../../codegen/compile.ts";
import { CudaDevice } from "../../runtime/cuda/device.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileAll } from "../../runtime/nvrtc/compile-all.ts";
import { kernelOptions } from "../../runtime/nvrtc/kernel-options.ts";
import { createCudaExecutor } from "../../src/api/compile-program.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { checkTuning } from "../../src/api/doctor.ts";
import { describeSynthetic } from "../../src/api/synthetic-model.ts";
import { measureVariants } from "../../src/api/tune/measure-variants.ts";
import { tunableKernels } from "../../src/api/tune/variants.ts";
import { tune } from "../../src/api/tune/tune.ts";
import { buildStep } from "../../src/models/decode-graphs.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

const key = "linear sm_80 bf16 256+128+128x256 rope-cache:64 rows 8x1";
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-tune-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe("hydra tune", () => {
  it.each([
    [{ device: "cpu" }, "tune/device"],
    [{ rounds: 0 }, "tune/rounds"],
    [{ shape: "vicuna-8b" }, "config/unknown-shape"],
    [{ tree: "none.json" }, "tree/file"],
  ])("says what is wrong with %o", async (wrong, code) => {
    await expect(tune({ shape: "demo", ...wrong })).rejects.toMatchObject({ code });
  });

  it.skipIf(installedNvrtc().length === 0)(
    `measures every configuration, stores all, and later runs use the choice (${NO_NVRTC})`,
    { timeout: 120_000 },
    async () => {
      vi.stubEnv("HYDRANT_CACHE_DIR", folder);
      vi.stubEnv("HYDRANT_TUNING", undefined);
      const options = { shape: "demo", heads: "none", device: "emulator" } as const;
      const { path, kernels, file } = await tune({ ...options, kernel: "rope-cache:64 rows 8x1" });
      expect(kernels.map((one) => one.key)).toEqual([key]);
      const [{ chosen, candidates, launches } = { chosen: "", candidates: [], launches: 0 }] =
        kernels;
      expect(launches).toBe(5);
      expect(candidates.length).toBeGreaterThan(4);
      // None is refused: all leave the same bits, none spills. Counts are the emulator's.
      expect(candidates.map(({ refused }) => refused)).toEqual(candidates.map(() => undefined));
      expect(file.unit).toBe("instructions");
      const fewest = Math.min(...candidates.map(({ median = 0 }) => median));
      expect(candidates.find(({ name }) => name === chosen)?.median).toBe(fewest);
      expect(chosen).not.toBe(candidates[0]?.name);

      const executor = await createCudaExecutor({
        driver: "emulator",
        ordinal: 0,
        activations: "stored",
      });
      const { target } = executor;
      await executor.dispose();
      expect(target.tuning).toEqual({ choices: { [key]: chosen } });
      const { base, drafter } = describeSynthetic("demo", undefined, (weights) => weights);
      const program = compileGraph(buildStep(base, drafter, rootOnly), { capacity: 128 }, target);
      const tuned = program.launches.filter(({ tunable }) => tunable?.key === key);
      expect(tuned.map(({ tunable }) => tunable?.chosen)).toEqual(
        [1, 2, 3, 4, 5].map(() => chosen),
      );

      const driver = await openDriver("emulator");
      expect(await checkTuning(driver)).toMatchObject([
        { status: "ok", detail: `kernels measured: 1, not as usual: 1 (${path})` },
      ]);
      vi.stubEnv("HYDRANT_TUNING", "off");
      expect(await checkTuning(driver)).toMatchObject([
        { status: "ok", detail: "HYDRANT_TUNING is off" },
      ]);
      driver.close();
      await expect(tune({ ...options, kernel: "no such" })).rejects.toMatchObject({
        code: "tune/kernel",
      });
    },
  );

  it.skipIf(installedNvrtc().length === 0)(
    `on a GPU times by turns, over memories of their own, and refuses other results (${NO_NVRTC})`,
    { timeout: 120_000 },
    async () => {
      const driver = await openDriver("emulator", { memoryBytes: 2 ** 29 });
      const device = await CudaDevice.open({ driver, activations: "stored" });
      const { base, drafter } = describeSynthetic("demo", undefined, (weights) => weights);
      const graph = { graph: buildStep(base, drafter, rootOnly), dims: { capacity: 1088 } };
      const [found] = tunableKernels([graph], device.target, "rope-cache:64 rows 8x1");
      const [usual, other] = found?.variants ?? [];
      if (found === undefined || usual === undefined || other === undefined)
        throw new Error("there is nothing to choose");
      const { source } = other.kernel;
      const wrong = { ...other.kernel, source: source.replace("kInputs = 256", "kInputs = 192") };
      const kernel = { ...found, variants: [usual, other, { ...other, kernel: wrong }] };
      const modules = await compileAll(
        device.nvrtc,
        kernel.variants.map((variant) => ({
          source: variant.kernel.source,
          name: "variant.cu",
          arch: device.target.arch,
          headers: cudaHeaders(variant.kernel.source),
          options: kernelOptions,
        })),
      );
      const measured = measureVariants(
        { device, ordinal: 0, emulator: undefined },
        kernel,
        modules,
        2,
      );
      expect(measured.map(({ times }) => times.length)).toEqual([2, 2, 0]);
      expect(measured.map(({ refused }) => refused)).toEqual([
        undefined,
        undefined,
        "its results differ: this is a bug, please report it",
      ]);
      expect(driver.findings()).toEqual([]);
      device.close();
      driver.close();
      // All that was allocated was given back.
      expect(driver.findings()).toEqual([]);
    },
  );
});
