import { CudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { targetArch } from "../../runtime/nvrtc/target-arch.ts";
import { HydrantError } from "../../src/util/errors.ts";

export interface Gpu {
  readonly driver: CudaDriver;
  readonly name: string;
  /** As in sm_90: 90. */
  readonly computeCapability: number;
  readonly nvrtcMajor: number;
  /** Compiles for this GPU. */
  readonly image: (source: string, file: string) => Uint8Array;
}

/** The first GPU with its context current, or why there is none. */
export async function openGpu(): Promise<Gpu | string> {
  try {
    const driver = await openDriver("cuda");
    const device = driver.deviceGet(0);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    const major = driver.deviceAttribute(device, "computeCapabilityMajor");
    const minor = driver.deviceAttribute(device, "computeCapabilityMinor");
    const nvrtc = openNvrtc({ maxMajor: Math.floor(driver.driverVersion() / 1000) });
    const arch = targetArch(nvrtc, { major, minor });
    return {
      driver,
      name: driver.deviceName(device),
      computeCapability: 10 * major + minor,
      nvrtcMajor: nvrtc.version.major,
      image: (source, name) => compileCuda(nvrtc, { source, name, arch }).cubin,
    };
  } catch (error) {
    if (error instanceof CudaError || error instanceof HydrantError) return error.message;
    throw error;
  }
}
