import { loadavg } from "node:os";
import { readEnvironment } from "../decode/environment.ts";
import { root } from "../gpu-check/child.ts";
import { decodeJobs } from "./decode/decode-suite.ts";
import { deviceKind, openSuiteDevice } from "./devices.ts";
import { type EntryKey, failedEntry, type Job, type Settings } from "./job.ts";
import { kernelJobs } from "./kernels/kernel-suite.ts";
import type { BenchDevice, BenchEntry, BenchResults, BenchSuite } from "./results.ts";
import { filterKeys } from "./selection.ts";
import { stepJobs } from "./steps/step-suite.ts";

export interface SuiteOptions extends Settings {
  readonly suites: readonly BenchSuite[];
  /** Device names, and of each the suites it does not run unless it is asked for alone. */
  readonly devices: readonly DeviceChoice[];
  readonly filter?: string | undefined;
  readonly threads?: number | undefined;
}

export interface DeviceChoice {
  readonly name: string;
  readonly suites: readonly BenchSuite[];
}

/** What is to be measured on one device. */
export interface DevicePlan {
  readonly name: string;
  readonly jobs: readonly { readonly job: Job; readonly wanted: readonly EntryKey[] }[];
}

/**
 * All that the options ask for, before any of it is measured.
 * @throws HydrantError for devices, suites or shapes that are not known.
 */
export function planSuite(options: SuiteOptions): readonly DevicePlan[] {
  return options.devices.map(({ name: asked, suites }) => {
    const kind = deviceKind(asked);
    // As results call it, whichever way it was asked for.
    const name = asked === "cuda" ? "cuda:0" : asked;
    const jobs = options.suites
      .filter((suite) => suites.includes(suite))
      .flatMap((suite) => jobsOf[suite](name, kind, options))
      .map((job) => ({ job, wanted: filterKeys(job.keys, options.filter) }))
      .filter(({ wanted }) => wanted.length > 0);
    return { name, jobs };
  });
}

const jobsOf = {
  kernels: kernelJobs,
  steps: stepJobs,
  decode: decodeJobs,
} as const satisfies Record<BenchSuite, unknown>;

export function plannedKeys(plans: readonly DevicePlan[]): readonly EntryKey[] {
  return plans.flatMap(({ jobs }) => jobs.flatMap(({ wanted }) => wanted));
}

/** Told as the suite goes on. */
export interface SuiteProgress {
  /** What is measured next. */
  begin(key: EntryKey): void;
  done(entry: BenchEntry): void;
}

export interface RunOptions {
  readonly threads?: number | undefined;
  /** For the results: what makes them again. */
  readonly command: string;
  /** After these seconds nothing more is begun, and what is left has no entry. */
  readonly mostSeconds?: number | undefined;
}

/** Runs a plan. A measurement that fails is an entry that says so; the others go on. */
export async function runSuite(
  plans: readonly DevicePlan[],
  { threads, command, mostSeconds = Number.POSITIVE_INFINITY }: RunOptions,
  progress: SuiteProgress,
): Promise<BenchResults> {
  const begin = performance.now();
  const isLate = () => performance.now() - begin > 1000 * mostSeconds;
  const environment = readEnvironment(root);
  const devices: BenchDevice[] = [];
  const entries: BenchEntry[] = [];
  for (const { name, jobs } of plans) {
    if (jobs.length === 0) continue;
    const device = await openSuiteDevice(name, threads);
    devices.push(device.about);
    try {
      for (const { job, wanted } of jobs) {
        if (isLate()) break;
        let next = 0;
        const done = (entry: BenchEntry) => {
          entries.push(entry);
          next++;
          progress.done(entry);
          const following = wanted[next];
          if (following !== undefined) progress.begin(following);
        };
        const [first] = wanted;
        if (first !== undefined) progress.begin(first);
        try {
          await job.run(device, wanted, done);
        } catch (error) {
          for (const key of wanted.slice(next)) done(failedEntry(key, error));
        }
      }
    } finally {
      await device.dispose();
    }
  }
  return {
    format: "hydrant bench 1",
    command,
    environment,
    devices,
    loadAfter: loadavg()[0] ?? 0,
    seconds: Number(((performance.now() - begin) / 1000).toFixed(1)),
    entries,
  };
}
