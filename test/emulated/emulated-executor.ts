import { expect } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { Executor } from "../../runtime/executor.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { programCompiler } from "../../src/api/compile-program.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

export const withoutNvrtc = installedNvrtc().length === 0;

/** A title that says why a suite was skipped, where it was. */
export const onTheEmulator = withoutNvrtc ? `on the emulator, ${NO_NVRTC}` : "on the emulator";

/**
 * A CUDA executor of its own on the emulator, which at its end expects a sanitiser with nothing to
 * report. Compute capability 9.0 has clusters, bulk copies and launches that overlap.
 */
export async function emulatedExecutor(
  activations: "f32" | "stored",
  computeCapability: "8.0" | "9.0",
): Promise<Executor> {
  const driver = await openDriver("emulator", { sanitizer: true, computeCapability });
  const executor = await CudaExecutor.create({
    driver,
    compiler: programCompiler,
    headers: cudaHeaders,
    cache: new KernelCache(),
    activations,
  });
  return {
    device: executor.device,
    load: (source, signal) => executor.load(source, signal),
    dispose: async () => {
      await executor.dispose();
      driver.close();
      expect(driver.findings()).toEqual([]);
    },
  };
}
