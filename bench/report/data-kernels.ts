import { gpuLimits } from "../../src/api/inspect/gpu-limits.ts";
import type { BenchDevice, BenchEntry, BenchResults } from "../suite/results.ts";

/** A kernel case on the roofline. */
export interface RooflinePoint {
  readonly name: string;
  readonly family: string;
  readonly rows: number;
  /** Operations for a byte moved. */
  readonly intensity: number;
  /** Operations a second. */
  readonly rate: number;
  readonly leastRate: number;
  readonly mostRate: number;
  readonly ms: number;
}

/** What a device cannot pass. */
export interface Ceilings {
  /** Bytes a second. */
  readonly bandwidth: number;
  /** Operations a second. */
  readonly rate: number;
  /** Where they come from: `measured copy`, `best of these kernels`. */
  readonly bandwidthSource: string;
  readonly rateSource: string;
}

/** Kernels of one shape on one device. */
export interface KernelGroup {
  /** `vicuna-7b@cpu`. */
  readonly name: string;
  readonly shape: string;
  readonly device: BenchDevice;
  readonly entries: readonly BenchEntry[];
}

export function groupsOf(results: BenchResults, suite: BenchEntry["suite"]): KernelGroup[] {
  const groups = new Map<string, BenchEntry[]>();
  for (const entry of results.entries) {
    if (entry.suite !== suite) continue;
    const name = `${entry.shape}@${entry.device}`;
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return [...groups].flatMap(([name, entries]) => {
    const [first] = entries;
    if (first === undefined) return [];
    const device = results.devices.find((one) => one.name === first.device);
    return [
      { name, shape: first.shape, device: device ?? { name: first.device, details: "" }, entries },
    ];
  });
}

/** Entries that have both a bandwidth (GB/s) and a rate (GFLOP/s). */
export function rooflinePoints(entries: readonly BenchEntry[]): RooflinePoint[] {
  return entries.flatMap(({ name, family, rows, figures }) => {
    const { time, bandwidth, rate } = figures;
    if (bandwidth?.unit !== "GB/s" || rate?.unit !== "GFLOP/s") return [];
    if (!(bandwidth.median > 0 && rate.median > 0)) return [];
    return [
      {
        name,
        family,
        rows,
        intensity: rate.median / bandwidth.median,
        rate: rate.median * 1e9,
        leastRate: rate.min * 1e9,
        mostRate: rate.max * 1e9,
        ms: time?.median ?? Number.NaN,
      },
    ];
  });
}

/**
 * Measured ceilings where the device has them, else the chip's published ones, else the best that any
 * of the kernels reached.
 */
export function ceilingsOf(device: BenchDevice, points: readonly RooflinePoint[]): Ceilings {
  const chip = publishedPeaks(device);
  const pick = (
    measured: number | undefined,
    published: number | undefined,
    best: () => number,
    what: string,
  ) => {
    if (measured !== undefined) return { value: measured, source: `measured ${what}` };
    if (published !== undefined) return { value: published, source: "as published" };
    return { value: best(), source: "best of these kernels" };
  };
  const bandwidth = pick(
    device.copyBandwidth,
    chip?.bandwidth,
    () => Math.max(...points.map(({ rate, intensity }) => rate / intensity)),
    "copy",
  );
  const rate = pick(
    device.matrixRate,
    chip?.matrixRate,
    () => Math.max(...points.map((point) => point.rate)),
    "matrix product",
  );
  return {
    bandwidth: bandwidth.value,
    bandwidthSource: bandwidth.source,
    rate: rate.value,
    rateSource: rate.source,
  };
}

function publishedPeaks({ details }: BenchDevice) {
  return ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100"]
    .map(gpuLimits)
    .find(({ name }) => details.includes(name.replace(/ \d+ GB.*$/, "")));
}
