/** The one place that picks the real driver or the emulator. */
import { HydrantError } from "../../src/util/errors.ts";
import type { CudaDriver } from "./driver.ts";
import type { EmulatorOptions, InstrumentedDriver } from "./instrumented-driver.ts";

export type DriverChoice =
  /** The real driver if it has a device, else the emulator. */
  "auto" | "cuda" | "emulator";

/**
 * An initialised driver. Both kinds are loaded only when asked for, so a machine without koffi's
 * native library or a driver can still emulate.
 * Throws `cuda/no-driver`, `cuda/driver-too-old` or `cuda/no-device` when "cuda" cannot be had.
 */
export async function openDriver(
  choice: "emulator",
  options?: EmulatorOptions,
): Promise<InstrumentedDriver>;
export async function openDriver(
  choice?: DriverChoice,
  options?: EmulatorOptions,
): Promise<CudaDriver | InstrumentedDriver>;
export async function openDriver(
  choice: DriverChoice = "auto",
  options: EmulatorOptions = {},
): Promise<CudaDriver | InstrumentedDriver> {
  switch (choice) {
    case "emulator":
      return openEmulator(options);
    case "cuda":
      return openCuda();
    case "auto":
      try {
        return await openCuda();
      } catch (error) {
        if (error instanceof HydrantError) return openEmulator(options);
        throw error;
      }
    default:
      return choice satisfies never;
  }
}

async function openCuda(): Promise<CudaDriver> {
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

async function openEmulator(options: EmulatorOptions): Promise<InstrumentedDriver> {
  const { openEmulatedDriver } = await import("../emulator/emulated-driver.ts");
  const driver = openEmulatedDriver(options);
  driver.init();
  return driver;
}
