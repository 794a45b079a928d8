import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { cudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { fixtureCompiler, fixtureRow, fixtureWeights, stepGraph } from "./cuda-executor-fixture.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("uses a cache", () => {}));

describe.skipIf(installedNvrtc().length === 0)("the CUDA executor and its kernel cache", () => {
  let cache: KernelCache;
  beforeEach(() => {
    cache = new KernelCache({ directory: mkdtempSync(join(tmpdir(), "hydrant-cache-")) });
  });
  afterEach(() => rmSync(cache.directory, { recursive: true, force: true }));

  /** One step in an executor of its own. How many kernels it compiled and found. */
  const run = async (driver?: CudaDriver): Promise<CudaExecutor["compiled"]> => {
    const executor = await CudaExecutor.create({
      driver: driver ?? (await openDriver("emulator", { memoryBytes: 8 << 20 })),
      compiler: fixtureCompiler,
      headers: cudaHeaders,
      activations: "stored",
      cache,
    });
    try {
      const session = (await executor.load(fixtureWeights())).session({ capacity: 4 });
      const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
      expect((await session.compile(stepGraph()).run(input)).calls).toEqual(Int32Array.of(1));
      return executor.compiled;
    } finally {
      await executor.dispose();
    }
  };

  /** Stores every entry anew, changed. */
  const change = (changed: (entry: Record<string, unknown>) => Record<string, unknown>) => {
    for (const file of readdirSync(cache.directory)) {
      const key = basename(file, ".json");
      cache.set(key, changed(Object(cache.get(key))));
    }
  };

  // Pack, two finite checks, the product, the end of the run.
  const all = 5;

  it("compiles anew what was damaged, and once", async () => {
    expect(await run()).toEqual({ compiled: all, fromCache: 0 });
    expect(await run()).toEqual({ compiled: 0, fromCache: all });
    for (const file of readdirSync(cache.directory)) {
      const path = join(cache.directory, file);
      writeFileSync(path, readFileSync(path).subarray(0, 1000));
    }
    expect(await run()).toEqual({ compiled: all, fromCache: 0 });
    expect(await run()).toEqual({ compiled: 0, fromCache: all });
  });

  it.each([
    ["no PTX at all", (_: Record<string, unknown>) => ({ cubin: "" })],
    ["text that is no PTX", (entry: Record<string, unknown>) => ({ ...entry, ptx: "nonsense" })],
    [
      "code of another architecture",
      (entry: Record<string, unknown>) => ({
        ...entry,
        ptx: String(entry.ptx).replace(".target sm_80", ".target sm_90"),
      }),
    ],
    [
      "another kernel's code",
      (entry: Record<string, unknown>) => ({
        ...entry,
        ptx: String(entry.ptx).replaceAll(/\.entry \w+/g, ".entry other"),
      }),
    ],
  ])("compiles anew what an entry holds when the driver refuses it: %s", async (_, changed) => {
    await run();
    change(changed);
    expect(await run()).toEqual({ compiled: all, fromCache: 0 });
    expect(await run()).toEqual({ compiled: 0, fromCache: all });
  });

  it("says what to do when the driver refuses what was just compiled", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    const driver = new Proxy<CudaDriver>(emulator, {
      get: (target, key) => {
        if (key === "moduleLoadData") {
          return () => {
            throw cudaError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "cuModuleLoadData");
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function"
          ? (...args: unknown[]) => Reflect.apply(value, target, args)
          : value;
      },
    });
    await expect(run(driver)).rejects.toMatchObject({
      code: "cuda/kernel-refused",
      path: "check_finite_bf16",
      message: expect.stringContaining("CUDA_ERROR_UNSUPPORTED_PTX_VERSION"),
      hint: expect.stringContaining("driver"),
    });
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });
});
