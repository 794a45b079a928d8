import { measureMatrixRate } from "../../ceilings/matrix-rate.ts";
import { DeviceKernels } from "../../ceilings/device-kernels.ts";
import { measureMemory } from "../../ceilings/memory.ts";
import { Cublas } from "../../peers/cublas/cublas.ts";
import { findCublas } from "../../peers/cublas/find-cublas.ts";
import type { CudaDriver } from "../../../runtime/driver/driver.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import type { PartContext } from "../part.ts";

/** What memory and tensor cores reach: the yardsticks of everything else. */
export async function run(part: PartContext): Promise<void> {
  const isGpu = part.device.startsWith("cuda");
  const driver = await openDriver(isGpu ? "cuda" : "emulator");
  const ordinal = Number(part.device.split(":")[1] ?? 0);
  try {
    const extent = part.small ? { bytes: 2 ** 12, rounds: 1 } : undefined;
    const { copy, read, driverCopy } = measureMemory(driver, ordinal, extent);
    for (const [name, ceiling] of Object.entries({ copy, read, "driver's copy": driverCopy })) {
      part.figure(name, "GB/s", ceiling.gigabytesPerSecond);
      part.note(`${name}: by`, ceiling.how);
    }
    if (part.small) return;
    measureUploads(part, driver, ordinal);
    measureMatrices(part, driver, ordinal);
  } finally {
    driver.close();
  }
}

function measureUploads(part: PartContext, driver: CudaDriver, ordinal: number): void {
  const kernels = new DeviceKernels(driver, ordinal);
  const pinned = driver.memAllocHost(2 ** 28);
  const to = driver.memAlloc(pinned.byteLength);
  const ms = kernels.time(
    () => driver.memcpyHtoDAsync(to, pinned, 0, pinned.byteLength, kernels.stream),
    10,
  );
  part.figure(
    "upload from pinned memory",
    "GB/s",
    ms.map((one) => pinned.byteLength / one / 1e6),
  );
  driver.memFree(to);
  driver.memFreeHost(pinned);
  kernels.close();
}

function measureMatrices(part: PartContext, driver: CudaDriver, ordinal: number): void {
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(ordinal)));
  try {
    const cublas = new Cublas(findCublas(Math.floor(driver.driverVersion() / 1000)));
    const { teraflops, size } = measureMatrixRate(driver, ordinal, cublas);
    part.figure("bf16 matrix rate", "TFLOP/s", teraflops);
    part.note("bf16 matrix rate: by", `${cublas.name}, products of ${size} by ${size}`);
    cublas.close();
  } catch (error) {
    if (!(error instanceof HydrantError && error.code === "bench/peer")) throw error;
    part.skip("bf16 matrix rate", error.oneLine);
  }
}
