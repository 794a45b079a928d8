import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCudaDriver } from "../../../runtime/driver/cuda-driver.ts";
import { cacheDirectory } from "../../../src/util/cache-directory.ts";

describe("a machine without a driver", () => {
  it("says that the library is missing and what to do", () => {
    expect(() => loadCudaDriver("/nowhere/libcuda.so.1")).toThrow(
      expect.objectContaining({
        code: "cuda/no-driver",
        path: "/nowhere/libcuda.so.1",
        hint: expect.stringContaining("Install the NVIDIA driver") as string,
      }) as Error,
    );
  });

  it("takes a library without the entry points for a driver that is too old", () => {
    expect(() => loadCudaDriver("libc.so.6")).toThrow(
      expect.objectContaining({ code: "cuda/driver-too-old" }) as Error,
    );
  });
});

// NVIDIA's own library, as .ci/install-cuda.sh unpacks it: real entry points, no kernel module.
const libcuda = join(
  cacheDirectory(),
  "cuda/libcuda/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.1",
);
const reason = existsSync(libcuda) ? "" : `skipped: ${libcuda} is not there`;

describe.skipIf(reason !== "")(`NVIDIA's driver library without a device ${reason}`, () => {
  it("has every entry point and tells its version, but no device", () => {
    const driver = loadCudaDriver(libcuda);
    expect(driver.driverVersion()).toBeGreaterThanOrEqual(12000);
    expect(() => driver.init()).toThrow(
      expect.objectContaining({
        code: "cuda/no-device",
        resultName: "CUDA_ERROR_NO_DEVICE",
      }) as Error,
    );
    expect(() => driver.deviceCount()).toThrow(/before init/);
    driver.close();
  });
});
