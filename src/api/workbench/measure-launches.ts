import type {
  CudaDriver,
  GraphExec,
  KernelLaunch,
  Stream,
} from "../../../runtime/driver/driver.ts";

/** Microseconds of one launch over several rounds. */
export interface LaunchTimes {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Times of an edited kernel and of its reference, measured in turns. */
export interface TimeComparison {
  readonly edited: LaunchTimes;
  readonly reference: LaunchTimes;
  /** Median over the rounds of the edited kernel's time over the reference's. */
  readonly ratio: number;
  readonly rounds: number;
  /** Launches of a round, of each kernel. */
  readonly launches: number;
}

/** Launches queued as one: their gaps are the device's, not the host's. */
const launchesPerRound = 20;

/**
 * Times two kernels round by round (`timeByTurns`).
 * @param edited with its arguments in one memory after the other, each memory's once.
 */
export function measureLaunches(
  driver: CudaDriver,
  edited: readonly KernelLaunch[],
  reference: readonly KernelLaunch[],
  rounds: number,
): TimeComparison {
  const [ours = [], theirs = []] = timeByTurns(driver, [edited, reference], rounds);
  return {
    edited: summary(ours),
    reference: summary(theirs),
    ratio: median(ours.map((time, round) => time / (theirs[round] ?? Number.NaN))),
    rounds,
    launches: count(edited),
  };
}

/**
 * Times kernels round by round, each round all of them and another one first, so that clocks that
 * change meanwhile change for all. A round of a kernel is one CUDA graph of some launches.
 * @param kernels each with its arguments in one memory after the other, each memory's once.
 * @returns microseconds of a launch, by kernel, then by round.
 */
export function timeByTurns(
  driver: CudaDriver,
  kernels: readonly (readonly KernelLaunch[])[],
  rounds: number,
): readonly (readonly number[])[] {
  const stream = driver.streamCreate();
  const graphs = kernels.map((launches) => capture(driver, stream, launches));
  const start = driver.eventCreate({ timing: true });
  const end = driver.eventCreate({ timing: true });
  const time = (index: number): number => {
    const [graph, launches] = [graphs[index], kernels[index]];
    if (graph === undefined || launches === undefined) return Number.NaN;
    driver.eventRecord(start, stream);
    driver.graphLaunch(graph, stream);
    driver.eventRecord(end, stream);
    driver.eventSynchronize(end);
    return (1000 * driver.eventElapsed(start, end)) / count(launches);
  };
  const all = kernels.map((_, index) => index);
  try {
    // The first runs load code and raise clocks.
    for (let warmUp = 0; warmUp < 3; warmUp++) all.forEach(time);
    const times = kernels.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const turn of all) {
        const index = (turn + round) % all.length;
        times[index]?.push(time(index));
      }
    }
    return times;
  } finally {
    for (const graph of graphs) driver.graphExecDestroy(graph);
    for (const event of [start, end]) driver.eventDestroy(event);
    driver.streamDestroy(stream);
  }
}

/** Every memory is used equally often. */
const count = (launches: readonly KernelLaunch[]): number =>
  launches.length * Math.ceil(launchesPerRound / Math.max(1, launches.length));

function capture(driver: CudaDriver, stream: Stream, launches: readonly KernelLaunch[]): GraphExec {
  driver.streamBeginCapture(stream);
  for (let done = 0; done < count(launches); done += launches.length)
    for (const launch of launches) driver.launch(launch, stream);
  const graph = driver.streamEndCapture(stream);
  try {
    return driver.graphInstantiate(graph);
  } finally {
    driver.graphDestroy(graph);
  }
}

function summary(times: readonly number[]): LaunchTimes {
  return { median: median(times), least: Math.min(...times), most: Math.max(...times) };
}

/** Mean of the middle two. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return (upper + (sorted[(sorted.length - 1) >> 1] ?? Number.NaN)) / 2;
}
