import type { CudaDriver } from "../../runtime/driver/driver.ts";
import type {
  EmulatorOptions,
  Finding,
  InstrumentedDriver,
  KernelCounters,
} from "../../runtime/driver/instrumented-driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";

/** Figures of one launch or of many, that depend on the program alone. */
export interface Counts {
  /** PTX instructions times active lanes. */
  readonly instructions: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly bankConflicts: number;
  readonly requests: number;
  readonly sectors: number;
  readonly byClass: Readonly<Record<string, number>>;
}

/** An emulated device that counts launch by launch. */
export class CountingDriver {
  /** For the executor. */
  readonly driver: CudaDriver;
  readonly #inner: InstrumentedDriver;
  #launches: Counts[] | undefined;
  #findingsSeen = 0;

  private constructor(inner: InstrumentedDriver) {
    this.#inner = inner;
    const launch: CudaDriver["launch"] = (kernel, stream) => {
      if (this.#launches === undefined) {
        inner.launch(kernel, stream);
        return;
      }
      inner.streamSynchronize(stream);
      const before = countsOf(inner.counters());
      inner.launch(kernel, stream);
      inner.streamSynchronize(stream);
      this.#launches.push(difference(countsOf(inner.counters()), before));
    };
    this.driver = new Proxy<CudaDriver>(inner, {
      get(target, key) {
        if (key === "launch") return launch;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** With the sanitiser: it counts the bytes, and finds what no comparison of results would. */
  static async open(options: EmulatorOptions = {}): Promise<CountingDriver> {
    return new CountingDriver(await openDriver("emulator", { ...options, sanitizer: true }));
  }

  /** What each launch did that `work` made by itself; graphs may not be captured meanwhile. */
  async perLaunch(work: () => Promise<unknown>): Promise<readonly Counts[]> {
    const launches: Counts[] = [];
    this.#launches = launches;
    try {
      await work();
    } finally {
      this.#launches = undefined;
    }
    return launches;
  }

  /** What everything did that `work` ran, captured or not. */
  async during(work: () => Promise<unknown>): Promise<Counts> {
    const before = countsOf(this.#inner.counters());
    await work();
    return difference(countsOf(this.#inner.counters()), before);
  }

  /** Faults since the last call. */
  newFindings(): readonly string[] {
    const all = this.#inner.findings();
    const found = all.slice(this.#findingsSeen);
    this.#findingsSeen = all.length;
    return found.map(describe);
  }

  close(): void {
    this.#inner.close();
  }
}

/** Several as one. */
export function sumCounts(all: readonly Counts[]): Counts {
  return all.reduce((sum, one) => combine(sum, one, (a, b) => a + b), nothing);
}

const nothing: Counts = {
  instructions: 0,
  bytesRead: 0,
  bytesWritten: 0,
  bankConflicts: 0,
  requests: 0,
  sectors: 0,
  byClass: {},
};

function difference(after: Counts, before: Counts): Counts {
  return combine(after, before, (a, b) => a - b);
}

function combine(a: Counts, b: Counts, join: (a: number, b: number) => number): Counts {
  const names = new Set([...Object.keys(a.byClass), ...Object.keys(b.byClass)]);
  return {
    instructions: join(a.instructions, b.instructions),
    bytesRead: join(a.bytesRead, b.bytesRead),
    bytesWritten: join(a.bytesWritten, b.bytesWritten),
    bankConflicts: join(a.bankConflicts, b.bankConflicts),
    requests: join(a.requests, b.requests),
    sectors: join(a.sectors, b.sectors),
    byClass: Object.fromEntries(
      [...names].sort().map((name) => [name, join(a.byClass[name] ?? 0, b.byClass[name] ?? 0)]),
    ),
  };
}

function countsOf(counters: KernelCounters): Counts {
  const { instructions, globalRequests, globalSectors } = counters;
  return {
    instructions: counters.laneInstructions,
    bytesRead: counters.globalBytesRead,
    bytesWritten: counters.globalBytesWritten,
    bankConflicts: counters.sharedBankConflicts,
    requests: typeof globalRequests === "number" ? globalRequests : 0,
    sectors: typeof globalSectors === "number" ? globalSectors : 0,
    byClass: typeof instructions === "object" ? instructions : {},
  };
}

function describe({ kind, kernel, file, line, message }: Finding): string {
  return `${kind} in ${kernel} at ${file}:${line}: ${message}`;
}
