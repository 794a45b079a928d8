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
  const sum = (amount: (launch: InspectedLaunch) => number) =>
    launches.reduce((total, launch) => total + amount(launch), 0);
  const measured = launches.length > 0 && launches.every((launch) => launch.measured !== undefined);
  return {
    launches: launches.length,
    time: sum(({ modelled }) => modelled),
    measured: measured ? sum((launch) => launch.measured ?? 0) : undefined,
    weightBytes: sum(({ weightBytes }) => weightBytes),
    bytes: sum(bytesOf),
    flops: sum(({ flops }) => flops),
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

/** The program with measured times in place of modelled ones, as far as there are any. */
export const withMeasured = (program: ProgramOutline): ProgramOutline => ({
  ...program,
  launches: program.launches.map((launch) => ({ ...launch, modelled: timeOf(launch, true) })),
});
