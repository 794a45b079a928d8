import type { CudaDriver, Device } from "../../../runtime/driver/driver.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import { openNvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import { HydrantError } from "../../util/errors.ts";
import type { KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import type { KernelFolder } from "./kernel-folder.ts";
import {
  compileFolder,
  type KernelImage,
  type LaunchShape,
  type LoadedKernel,
  loadImage,
} from "./kernel-image.ts";
import { LaunchMemory } from "./launch-memory.ts";
import type { Content } from "./launch-values.ts";
import { measureLaunches, type TimeComparison } from "./measure-launches.ts";
import { type Outcome, readOutcome } from "./run-emulated.ts";

export interface GpuComparison {
  /** Name of the GPU. */
  readonly device: string;
  readonly images: { readonly edited: KernelImage; readonly reference: KernelImage };
  readonly after: { readonly edited: Outcome; readonly reference: Outcome };
  readonly times: TimeComparison;
}

/**
 * Runs both kernels of a folder on the GPU, first once each on fresh memory for the results, then by
 * turns for the time.
 * @throws HydrantError `kernel/arch` on a GPU the kernel was not generated for; CudaError of a fault.
 */
export async function runOnGpu(
  folder: KernelFolder,
  launch: LaunchSpec,
  shapes: { readonly edited: LaunchShape; readonly reference: LaunchShape },
  values: ReadonlyMap<number, Content>,
  rounds: number,
): Promise<GpuComparison> {
  const driver = await openDriver("cuda");
  try {
    const device = driver.deviceGet(0);
    checkArch(driver, device, folder.spec);
    const nvrtc = openNvrtc({ maxMajor: Math.floor(driver.driverVersion() / 1000) });
    const images = compileFolder(nvrtc, folder, shapes);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    const result = compareOn(driver, device, folder.spec, launch, values, images, rounds);
    driver.primaryContextRelease(device);
    return { device: driver.deviceName(device), images, ...result };
  } finally {
    driver.close();
  }
}

/** As `runOnGpu`, on any driver with a current context. */
export function compareOn(
  driver: CudaDriver,
  device: Device,
  spec: KernelSpec,
  launch: LaunchSpec,
  values: ReadonlyMap<number, Content>,
  images: GpuComparison["images"],
  rounds: number,
): Pick<GpuComparison, "after" | "times"> {
  const edited = loadImage(driver, spec, images.edited);
  const reference = loadImage(driver, spec, images.reference);
  const stream = driver.streamCreate();
  const runOnce = (kernel: LoadedKernel): { memory: LaunchMemory; outcome: Outcome } => {
    const memory = new LaunchMemory(driver, spec, launch, values);
    driver.launch(memory.kernelLaunch(kernel), stream);
    driver.streamSynchronize(stream);
    return { memory, outcome: readOutcome(memory, launch) };
  };
  const first = runOnce(reference);
  first.memory.release();
  const second = runOnce(edited);
  const memories = [second.memory];
  try {
    const total = memoriesFor(driver, device, second.memory.bytes);
    while (memories.length < total) {
      const memory = new LaunchMemory(driver, spec, launch, values);
      memories.push(memory);
    }
    const times = measureLaunches(
      driver,
      memories.map((memory) => memory.kernelLaunch(edited)),
      memories.map((memory) => memory.kernelLaunch(reference)),
      rounds,
    );
    return { after: { edited: second.outcome, reference: first.outcome }, times };
  } finally {
    for (const memory of memories) memory.release();
    driver.streamDestroy(stream);
    driver.moduleUnload(edited.module);
    driver.moduleUnload(reference.module);
  }
}

/** Beyond that, buffers are so small that they are in the cache in a model's step, too. */
const mostMemories = 16;

/**
 * How many memories launches must take turns in, so that none finds its operands in the L2 cache: in
 * a step, the weights of the whole model pass through it between two uses.
 */
export function memoriesFor(driver: CudaDriver, device: Device, bytes: number): number {
  const cache = driver.deviceAttribute(device, "l2CacheSize");
  const wanted = 1 + Math.ceil((2 * cache) / Math.max(1, bytes));
  const fitting = 1 + Math.floor(driver.memoryInfo().free / 2 / Math.max(1, bytes));
  return Math.max(1, Math.min(wanted, fitting, mostMemories));
}

/** Machine code runs on the architecture it is for and newer ones of the same generation. */
function checkArch(driver: CudaDriver, device: Device, { arch, entry }: KernelSpec): void {
  const major = driver.deviceAttribute(device, "computeCapabilityMajor");
  const minor = driver.deviceAttribute(device, "computeCapabilityMinor");
  const match = /^sm_(\d+)(\d)([af]?)$/.exec(arch);
  const isRunning =
    Number(match?.[1]) === major &&
    (match?.[3] === "" ? Number(match[2]) <= minor : Number(match?.[2]) === minor);
  if (isRunning) return;
  throw new HydrantError(
    "kernel/arch",
    `The kernel was generated for ${arch}; ${driver.deviceName(device)} is sm_${major}${minor}.`,
    {
      path: entry,
      hint: `Write the folder anew with \`hydra inspect --arch sm_${major}${minor}\`, or use --device emulator.`,
    },
  );
}
