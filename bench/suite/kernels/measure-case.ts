import { compileGraph } from "../../../codegen/compile.ts";
import { CudaExecutable, type LaunchTime } from "../../../runtime/cuda/executable.ts";
import type { Executable } from "../../../runtime/executor.ts";
import type { Traffic } from "../../../src/ir/program.ts";
import { invariant } from "../../../src/util/errors.ts";
import type { CpuBench, CudaBench, EmulatorBench, SuiteDevice } from "../devices.ts";
import { sumCounts } from "../emulator-counters.ts";
import { countFigures, timeFigures } from "../figures.ts";
import type { BenchEntry } from "../results.ts";
import { timeRuns } from "../time.ts";
import type { CaseGraph } from "./case-graph.ts";
import type { Work } from "./kernel-case.ts";

/** Copies a CPU case has at most: together larger than the first caches, as a model's layers are. */
const mostCpuCopies = 8;
const cpuColdBytes = 16e6;
const mostCudaCopies = 8;

type Measured = Pick<BenchEntry, "figures" | "notes">;

/**
 * Copies of a case to run one after the other, so that weights and caches come from where a model's
 * come from.
 * @param cold bytes of one copy.
 */
export function copiesFor(device: SuiteDevice, cold: number): number {
  switch (device.kind) {
    case "cpu":
      return between(1, Math.ceil(cpuColdBytes / cold), mostCpuCopies);
    case "emulator":
      return 1;
    case "cuda":
      return between(1, Math.ceil((3 * device.cacheBytes) / cold), mostCudaCopies);
    default:
      return device satisfies never;
  }
}

/** Measures a case that is ready to run and has run once. */
export function measureCase(
  device: SuiteDevice,
  executable: Executable,
  built: CaseGraph,
  work: Work,
  rounds: number,
): Promise<Measured> {
  switch (device.kind) {
    case "cpu":
      return measureCpu(device, executable, built, work, rounds);
    case "emulator":
      return measureEmulator(device, launchesOf(executable));
    case "cuda":
      return measureCuda(device, launchesOf(executable), built, work, rounds);
    default:
      return device satisfies never;
  }
}

/** What one copy of a case moves and computes. @param single its graph with one copy. */
export function workOf(device: SuiteDevice, single: CaseGraph, capacity: number): Work {
  const { launches } = compileGraph(single.graph, { capacity }, device.target);
  return sumTraffic(launches.filter(isOwn).map(({ traffic }) => traffic));
}

async function measureCpu(
  _device: CpuBench,
  executable: Executable,
  { copies }: CaseGraph,
  work: Work,
  rounds: number,
): Promise<Measured> {
  const ms = await timeRuns(() => executable.run({}), rounds);
  const each = ms.map((one) => one / copies);
  return { figures: timeFigures(each, work), notes: notesOf(work, copies) };
}

async function measureEmulator(
  { counting }: EmulatorBench,
  executable: CudaExecutable,
): Promise<Measured> {
  let launches: readonly LaunchTime[] = [];
  const counts = await counting.perLaunch(async () => {
    launches = await executable.profile({});
  });
  invariant(counts.length === launches.length, "the emulator counted every launch of the case");
  const own = launches.flatMap((launch, i) => (isOwn(launch) ? [{ launch, at: counts[i] }] : []));
  const all = sumCounts(own.flatMap(({ at }) => (at === undefined ? [] : [at])));
  return {
    figures: countFigures(all),
    notes: { kernels: kernelNames(own.map(({ launch }) => launch)) },
  };
}

async function measureCuda(
  { about }: CudaBench,
  executable: CudaExecutable,
  { copies }: CaseGraph,
  work: Work,
  rounds: number,
): Promise<Measured> {
  let own: readonly LaunchTime[] = [];
  const ms: number[] = [];
  for (let round = -1; round < rounds; round++) {
    own = (await executable.profile({})).filter(isOwn);
    // The first round wakes the clocks up.
    if (round >= 0) ms.push(own.reduce((sum, launch) => sum + launch.ms, 0) / copies);
  }
  return {
    figures: timeFigures(ms, work, about.copyBandwidth),
    notes: { ...notesOf(work, copies), kernels: kernelNames(own) },
  };
}

function launchesOf(executable: Executable): CudaExecutable {
  invariant(executable instanceof CudaExecutable, "CUDA executors make CUDA executables");
  return executable;
}

/** By the scope that `Site.own` gives; commits of several caches are one launch with a label of its own. */
function isOwn({ label }: { readonly label: string }): boolean {
  return label.includes("case.") || label.startsWith("commit");
}

function kernelNames(launches: readonly { readonly kernel: string }[]): string {
  return [...new Set(launches.map(({ kernel }) => kernel))].join(", ");
}

function sumTraffic(all: readonly Traffic[]): Work {
  return {
    bytes: all.reduce((sum, one) => sum + one.weightBytes + one.readBytes + one.writtenBytes, 0),
    flops: all.reduce((sum, one) => sum + one.flops, 0),
  };
}

function notesOf({ bytes, flops }: Work, copies: number): Record<string, number> {
  return { bytes, flops, copies };
}

function between(least: number, value: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
