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
 * Times two kernels round by round, each round both and in turns first, so that clocks that change
 * meanwhile change for both. A round of a kernel is one CUDA graph of some launches.
 * @param edited with its arguments in one memory after the other, each memory's once.
 */
export function measureLaunches(
  driver: CudaDriver,
  edited: readonly KernelLaunch[],
  reference: readonly KernelLaunch[],
  rounds: number,
): TimeComparison {
  const stream = driver.streamCreate();
  const graphs = [edited, reference].map((launches) => capture(driver, stream, launches));
  const [start, end] = [1, 2].map(() => driver.eventCreate({ timing: true }));
  const launches = count(edited);
  const time = (graph: GraphExec | undefined): number => {
    if (graph === undefined || start === undefined || end === undefined) return Number.NaN;
    driver.eventRecord(start, stream);
    driver.graphLaunch(graph, stream);
    driver.eventRecord(end, stream);
    driver.eventSynchronize(end);
    return (1000 * driver.eventElapsed(start, end)) / launches;
  };
  try {
    // The first runs load code and raise clocks.
    for (let warmUp = 0; warmUp < 3; warmUp++) graphs.forEach(time);
    const times: { edited: number; reference: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const [first, second] = round % 2 === 0 ? graphs : graphs.toReversed();
      const [one, two] = [time(first), time(second)];
      times.push(
        round % 2 === 0 ? { edited: one, reference: two } : { edited: two, reference: one },
      );
    }
    return {
      edited: summary(times.map((round) => round.edited)),
      reference: summary(times.map((round) => round.reference)),
      ratio: median(times.map((round) => round.edited / round.reference)),
      rounds,
      launches,
    };
  } finally {
    for (const graph of graphs) driver.graphExecDestroy(graph);
    for (const event of [start, end]) if (event !== undefined) driver.eventDestroy(event);
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
