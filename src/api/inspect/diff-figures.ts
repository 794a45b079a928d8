import type { InspectedLaunch } from "../../inspection/inspection.ts";
import type { DiffKernel } from "./diff-kernels.ts";
import type { SavedInspection } from "./save-inspection.ts";

/** How a figure is read: a number as it is, bytes, operations, a share of 1, or microseconds. */
export type FigureUnit = "number" | "bytes" | "operations" | "share" | "microseconds" | "text";

/** A figure of two kernels or programs; absent on a side that does not know it. */
export interface FigureDiff {
  readonly name: string;
  readonly unit: FigureUnit;
  readonly before: number | string | undefined;
  readonly after: number | string | undefined;
  /** What one side does not know is no difference. */
  readonly isDifferent: boolean;
}

type Figure = readonly [name: string, unit: FigureUnit, value: number | string | undefined];

/** Every figure of two things, those that are the same on both sides among them. */
export function pairFigures(before: readonly Figure[], after: readonly Figure[]): FigureDiff[] {
  return after.map(([name, unit, value], at) => {
    const other = before[at]?.[2];
    const isDifferent = other !== undefined && value !== undefined && other !== value;
    return { name, unit, before: other, after: value, isDifferent };
  });
}

/** Of all launches of the kernel together, where not of one block or thread. */
export function kernelFigures(inspection: SavedInspection, kernel: DiffKernel): Figure[] {
  const { compiled, threads, dynamicSharedBytes } = kernel;
  const number = inspection.kernels.indexOf(kernel);
  const launches = inspection.launches.filter((launch) => launch.kernel === number);
  const grids = [...new Set(launches.map(({ grid }) => grid.join("×")))];
  return [
    ["registers", "number", compiled?.registers],
    ["spilled bytes", "bytes", compiled?.spillBytes],
    [
      "shared memory",
      "bytes",
      compiled === undefined ? undefined : compiled.staticSharedBytes + dynamicSharedBytes,
    ],
    ["blocks on a multiprocessor", "number", compiled?.occupancy.blocksPerMultiprocessor],
    ["occupancy", "share", compiled?.occupancy.fraction],
    ["threads", "number", threads],
    ["grid", "text", grids.join(" ")],
    ["launches", "number", launches.length],
    ...trafficFigures(launches),
  ];
}

/** Of the whole program. */
export function programFigures({ kernels, launches, memory }: SavedInspection): Figure[] {
  return [
    ["kernels", "number", kernels.length],
    ["launches", "number", launches.length],
    ...trafficFigures(launches),
    ["memory of weights", "bytes", memory.weights],
    ["memory of caches", "bytes", memory.caches],
    ["memory of the arena", "bytes", memory.arena],
    ["other memory", "bytes", memory.other + memory.ring],
  ];
}

function trafficFigures(launches: readonly InspectedLaunch[]): Figure[] {
  const sum = (of: (launch: InspectedLaunch) => number): number =>
    launches.reduce((total, launch) => total + of(launch), 0);
  const isMeasured =
    launches.length > 0 && launches.every(({ measured }) => measured !== undefined);
  return [
    ["weights read", "bytes", sum(({ weightBytes }) => weightBytes)],
    ["other bytes", "bytes", sum(({ readBytes, writtenBytes }) => readBytes + writtenBytes)],
    ["operations", "operations", sum(({ flops }) => flops)],
    ["modelled time", "microseconds", sum(({ modelled }) => modelled)],
    [
      "measured time",
      "microseconds",
      isMeasured ? sum(({ measured }) => measured ?? 0) : undefined,
    ],
  ];
}
