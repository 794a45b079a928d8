import type { GpuLimits } from "../../inspection/inspection.ts";
import { HydrantError } from "../../util/errors.ts";

type Chip = Omit<GpuLimits, "arch" | "launchGap" | "registersPerMultiprocessor"> & {
  readonly capability: number;
};

const KiB = 1024;

/**
 * A chip per architecture. Limits are those of the CUDA C++ Programming Guide (technical
 * specifications per compute capability); peaks are of NVIDIA's data sheets, without sparsity, matrix
 * products with sums in f32.
 */
const chips: readonly Chip[] = [
  {
    capability: 80,
    name: "A100 80 GB SXM",
    multiprocessors: 108,
    sharedBytesPerMultiprocessor: 164 * KiB,
    sharedBytesPerBlock: 163 * KiB,
    threadsPerMultiprocessor: 2048,
    blocksPerMultiprocessor: 32,
    bandwidth: 2.039e12,
    matrixRate: 312e12,
    vectorRate: 19.5e12,
  },
  {
    capability: 86,
    name: "A40",
    multiprocessors: 84,
    sharedBytesPerMultiprocessor: 100 * KiB,
    sharedBytesPerBlock: 99 * KiB,
    threadsPerMultiprocessor: 1536,
    blocksPerMultiprocessor: 16,
    bandwidth: 0.696e12,
    matrixRate: 149.7e12,
    vectorRate: 37.4e12,
  },
  {
    capability: 89,
    name: "RTX 4090",
    multiprocessors: 128,
    sharedBytesPerMultiprocessor: 100 * KiB,
    sharedBytesPerBlock: 99 * KiB,
    threadsPerMultiprocessor: 1536,
    blocksPerMultiprocessor: 24,
    bandwidth: 1.008e12,
    matrixRate: 165.2e12,
    vectorRate: 82.6e12,
  },
  {
    capability: 90,
    name: "H200",
    multiprocessors: 132,
    sharedBytesPerMultiprocessor: 228 * KiB,
    sharedBytesPerBlock: 227 * KiB,
    threadsPerMultiprocessor: 2048,
    blocksPerMultiprocessor: 32,
    bandwidth: 4.8e12,
    matrixRate: 989e12,
    vectorRate: 67e12,
  },
  {
    capability: 100,
    name: "B200",
    multiprocessors: 148,
    sharedBytesPerMultiprocessor: 228 * KiB,
    sharedBytesPerBlock: 227 * KiB,
    threadsPerMultiprocessor: 2048,
    blocksPerMultiprocessor: 32,
    bandwidth: 7.7e12,
    matrixRate: 2250e12,
    vectorRate: 75e12,
  },
];

/**
 * What is known of the usual chip of an architecture.
 * @param arch `sm_80`, `sm_90a`.
 * @param multiprocessors of the chip at hand, if not the usual number; peaks stay the usual chip's.
 * @throws HydrantError `inspect/arch` for an architecture there are no figures of.
 */
export function gpuLimits(arch: string, multiprocessors?: number): GpuLimits {
  const capability = capabilityOf(arch);
  const chip = chips.find((one) => one.capability === capability);
  if (chip === undefined) throw unknownArch(arch);
  const { capability: _, ...limits } = chip;
  return {
    arch,
    ...limits,
    multiprocessors: multiprocessors ?? limits.multiprocessors,
    registersPerMultiprocessor: 65536,
    // About what kernels of one graph are apart; no data sheet has it.
    launchGap: 1,
  };
}

/**
 * Compute capability without the dot.
 * @throws HydrantError `inspect/arch` for what is no architecture, or an unknown one.
 */
export function capabilityOf(arch: string): number {
  const match = /^sm_(\d{2,3})([af]?)$/.exec(arch);
  const capability = Number(match?.[1] ?? 0);
  // Features of one architecture alone came with 9.0.
  const plain = match?.[2] === "";
  if (!chips.some((chip) => chip.capability === capability) || !(plain || capability >= 90)) {
    throw unknownArch(arch);
  }
  return capability;
}

function unknownArch(arch: string): HydrantError {
  const known = chips.map(({ capability }) => `sm_${capability}`).join(", ");
  return new HydrantError("inspect/arch", `There is no code for architecture "${arch}".`, {
    hint: `Use ${known}, or sm_90a.`,
  });
}
