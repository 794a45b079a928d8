import type { GpuLimits } from "../../inspection/inspection.ts";
import type { KernelSource, Traffic } from "../../ir/program.ts";

/** True when a kernel's products go through tensor cores: their bodies say so. */
export function usesTensorCores({ source }: Pick<KernelSource, "source">): boolean {
  return /^#include "kernels\/\S*(tensor-core|warpgroup)/m.test(source);
}

/**
 * Microseconds a launch takes at least: the time its bytes or its operations take at the GPU's peaks,
 * whichever is longer, or the gap to the next kernel if that is longer still. Operands that stay in
 * the L2 cache can be faster than this, everything else is slower.
 */
export function modelledTime(
  { weightBytes, readBytes, writtenBytes, flops }: Traffic,
  tensorCores: boolean,
  gpu: GpuLimits,
): number {
  const moving = (weightBytes + readBytes + writtenBytes) / gpu.bandwidth;
  const computing = flops / (tensorCores ? gpu.matrixRate : gpu.vectorRate);
  return Math.max(1e6 * moving, 1e6 * computing, gpu.launchGap);
}
