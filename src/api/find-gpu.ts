import { HydrantError } from "../util/errors.ts";

/** Tensor-core products of bf16 and asynchronous copies: Ampere and newer. */
const oldestCapability = 80;

/**
 * Looks whether the driver, a device and NVRTC are there and fit each other. Nothing is allocated.
 * @param ordinal the GPU to look at; without, the first that can be used.
 * @returns its ordinal.
 * @throws HydrantError saying what is missing: `cuda/no-driver`, `cuda/no-device`, …, `load/device`
 *   for an ordinal the machine does not have, `cuda/device-too-old`, `nvrtc/not-found`.
 */
export async function findGpu(ordinal?: number): Promise<number> {
  const { openDriver } = await import("../../runtime/driver/open-driver.ts");
  const driver = await openDriver("cuda");
  try {
    const count = driver.deviceCount();
    if (ordinal !== undefined && ordinal >= count) {
      throw new HydrantError("load/device", `There is no GPU ${ordinal}.`, {
        hint: `The driver shows ${count}: cuda:0${count > 1 ? ` to cuda:${count - 1}` : ""}.`,
      });
    }
    const tooOld: string[] = [];
    const asked = ordinal === undefined ? Array.from({ length: count }, (_, i) => i) : [ordinal];
    const usable = asked.find((candidate) => {
      const device = driver.deviceGet(candidate);
      const major = driver.deviceAttribute(device, "computeCapabilityMajor");
      const minor = driver.deviceAttribute(device, "computeCapabilityMinor");
      if (10 * major + minor >= oldestCapability) return true;
      tooOld.push(`${driver.deviceName(device)} has ${major}.${minor}`);
      return false;
    });
    if (usable === undefined) {
      throw new HydrantError(
        "cuda/device-too-old",
        `The kernels need compute capability 8.0 or newer; ${tooOld.join(", ")}.`,
        { hint: "Use the CPU, or a GPU of the Ampere generation or newer." },
      );
    }
    await checkNvrtc(Math.floor(driver.driverVersion() / 1000));
    return usable;
  } finally {
    driver.close();
  }
}

async function checkNvrtc(maxMajor: number): Promise<void> {
  const { findNvrtc, nvrtcInstallHint } = await import("../../runtime/nvrtc/find-nvrtc.ts");
  if (findNvrtc({ maxMajor }).length > 0) return;
  throw new HydrantError(
    "nvrtc/not-found",
    `There is no NVRTC for a driver of CUDA ${maxMajor}, which is needed to compile kernels.`,
    { hint: nvrtcInstallHint() },
  );
}
