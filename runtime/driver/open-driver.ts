/** The one place that picks the real driver or the emulator. */
import type { CudaDriver } from "./driver.ts";
import type { EmulatorOptions, InstrumentedDriver } from "./instrumented-driver.ts";

/**
 * An initialised driver. Each kind is loaded only when asked for, so that a machine without a
 * driver, or without koffi's native library, can still emulate.
 * Throws `cuda/no-driver`, `cuda/driver-too-old` or `cuda/no-device` when "cuda" cannot be had.
 */
export async function openDriver(device: "cuda"): Promise<CudaDriver>;
export async function openDriver(
  device: "emulator",
  options?: EmulatorOptions,
): Promise<InstrumentedDriver>;
export async function openDriver(
  device: "cuda" | "emulator",
  options?: EmulatorOptions,
): Promise<CudaDriver | InstrumentedDriver>;
export async function openDriver(
  device: "cuda" | "emulator",
  options: EmulatorOptions = {},
): Promise<CudaDriver | InstrumentedDriver> {
  switch (device) {
    case "cuda": {
      const { loadCudaDriver } = await import("./cuda-driver.ts");
      const driver = loadCudaDriver();
      try {
        driver.init();
      } catch (error) {
        driver.close();
        throw error;
      }
      return driver;
    }
    case "emulator": {
      const { openEmulatedDriver } = await import("../emulator/emulated-driver.ts");
      const driver = openEmulatedDriver(options);
      driver.init();
      return driver;
    }
    default:
      return device satisfies never;
  }
}
