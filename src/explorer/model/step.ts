import type { InspectedLaunch } from "../../inspection/inspection.ts";
import type { KernelOutline, ProgramOutline } from "../../inspection/stored-page.ts";

/** What launches move, compute and take, added up. */
export interface Work {
  readonly launches: number;
  /** Microseconds, modelled. */
  readonly time: number;
  /** Microseconds; absent where a launch was not measured. */
  readonly measured: number | undefined;
  readonly weightBytes: number;
  /** Weights, other operands and results. */
  readonly bytes: number;
  readonly flops: number;
}

export function workOf(launches: readonly InspectedLaunch[]): Work {
  let [time, measured, weightBytes, bytes, flops]: [number, number | undefined, ...number[]] = [
    0, 0, 0, 0, 0,
  ];
  for (const launch of launches) {
    time += launch.modelled;
    measured =
      measured === undefined || launch.measured === undefined
        ? undefined
        : measured + launch.measured;
    weightBytes = (weightBytes ?? 0) + launch.weightBytes;
    bytes = (bytes ?? 0) + bytesOf(launch);
    flops = (flops ?? 0) + launch.flops;
  }
  return {
    launches: launches.length,
    time,
    measured: launches.length === 0 ? undefined : measured,
    weightBytes: weightBytes ?? 0,
    bytes: bytes ?? 0,
    flops: flops ?? 0,
  };
}

export const bytesOf = ({ weightBytes, readBytes, writtenBytes }: InspectedLaunch): number =>
  weightBytes + readBytes + writtenBytes;

/** A kernel with all its launches. */
export interface KernelWork extends Work {
  readonly index: number;
  readonly kernel: KernelOutline;
}

/** Kernels in the program's order. */
export function kernelWork(program: ProgramOutline): readonly KernelWork[] {
  const launches: InspectedLaunch[][] = program.kernels.map(() => []);
  for (const launch of program.launches) launches[launch.kernel]?.push(launch);
  return program.kernels.map((kernel, index) => ({
    index,
    kernel,
    ...workOf(launches[index] ?? []),
  }));
}

/** The kernels of a family together, the longest time first. */
export function familyWork(program: ProgramOutline): readonly (Work & { family: string })[] {
  const launches = new Map<string, InspectedLaunch[]>();
  for (const launch of program.launches) {
    const family = program.kernels[launch.kernel]?.family ?? "";
    launches.set(family, [...(launches.get(family) ?? []), launch]);
  }
  return [...launches]
    .map(([family, own]) => ({ family, ...workOf(own) }))
    .sort((a, b) => b.time - a.time);
}

/** Modelled or measured microseconds; what was not measured counts as modelled. */
export const timeOf = (launch: InspectedLaunch, measured: boolean): number =>
  (measured ? launch.measured : undefined) ?? launch.modelled;
