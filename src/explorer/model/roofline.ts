import type { GpuLimits } from "../../inspection/inspection.ts";
import type { KernelWork } from "./step.ts";

/** A kernel's place under the roof. */
export interface RooflinePoint {
  readonly work: KernelWork;
  /** Operations a byte. */
  readonly intensity: number;
  /** Operations a second. */
  readonly rate: number;
  /** Share of what its intensity allows: 0 to 1. */
  readonly ofRoof: number;
  /** Whether times of all its launches were measured. */
  readonly measured: boolean;
}

/** Operations a second that an intensity allows. */
export const roof = (intensity: number, { bandwidth, matrixRate }: GpuLimits): number =>
  Math.min(intensity * bandwidth, matrixRate);

/** Points of the kernels that compute and move something. */
export function rooflinePoints(
  kernels: readonly KernelWork[],
  gpu: GpuLimits,
): readonly RooflinePoint[] {
  return kernels
    .filter(({ flops, bytes, time }) => flops > 0 && bytes > 0 && time > 0)
    .map((work) => {
      const intensity = work.flops / work.bytes;
      const rate = work.flops / ((work.measured ?? work.time) * 1e-6);
      const ofRoof = rate / roof(intensity, gpu);
      return { work, intensity, rate, ofRoof, measured: work.measured !== undefined };
    });
}
