import { describe, it } from "vitest";
import { CudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { targetArch } from "../../runtime/nvrtc/target-arch.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { driverCases } from "../conformance/driver-cases.ts";

/** The real driver with a context, or why there is none. */
async function openGpu(): Promise<CudaDriver | string> {
  try {
    const driver = await openDriver("cuda");
    driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
    return driver;
  } catch (error) {
    if (error instanceof CudaError || error instanceof HydrantError) return error.message;
    throw error;
  }
}

const driver = await openGpu();

if (typeof driver === "string") {
  describe.skip(`skipped: ${driver}`, () => it("drives a GPU", () => {}));
} else {
  const device = driver.deviceGet(0);
  const nvrtc = openNvrtc({ maxMajor: Math.floor(driver.driverVersion() / 1000) });
  const arch = targetArch(nvrtc, {
    major: driver.deviceAttribute(device, "computeCapabilityMajor"),
    minor: driver.deviceAttribute(device, "computeCapabilityMinor"),
  });
  describe(`the driver interface on ${driver.deviceName(device)}`, () => {
    const context = {
      driver,
      nvrtcMajor: nvrtc.version.major,
      image: (source: string) => compileCuda(nvrtc, { source, name: "driver-case.cu", arch }).cubin,
    };
    it.for(driverCases.map((one) => [one.name, one] as const))("%s", ([, { run, skip }], test) => {
      const reason = skip?.(context);
      test.skip(reason !== undefined, reason);
      run(context);
    });
  });
}
