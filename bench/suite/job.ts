import type { SuiteDevice } from "./devices.ts";
import type { BenchEntry, BenchSuite, Check } from "./results.ts";

/** What an entry is of: everything but what was measured. */
export type EntryKey = Omit<BenchEntry, "figures" | "check" | "notes">;

/** Entries that share what they are measured with, such as weights. */
export interface Job {
  readonly keys: readonly EntryKey[];
  /**
   * Measures the wanted ones of `keys` and hands out each entry as it is there.
   * What it throws becomes the failure of those it did not come to.
   */
  run(device: SuiteDevice, wanted: readonly EntryKey[], done: EntryDone): Promise<void>;
}

export type EntryDone = (entry: BenchEntry) => void;

/** How much is measured. */
export interface Settings {
  /** Rows of kernels and of the trees of steps; each suite's own by default. */
  readonly rows?: readonly number[] | undefined;
  readonly shapes?: readonly string[] | undefined;
  readonly contexts?: readonly number[] | undefined;
  readonly isQuick: boolean;
  readonly checks: boolean;
  /** Samples of every time. */
  readonly rounds: number;
}

/** @param parts from the suite to the rows. */
export function keyOf(
  suite: BenchSuite,
  { family, name, shape, rows, device }: Omit<EntryKey, "id" | "suite">,
): EntryKey {
  const id = `${suite}/${family}/${name}/${shape}/${rows}@${device}`.replaceAll(" ", "_");
  return { id, suite, family, name, shape, device, rows };
}

/** The entry of a measurement that came to nothing. */
export function failedEntry(key: EntryKey, error: unknown): BenchEntry {
  const message = error instanceof Error ? error.message : String(error);
  const check: Check = {
    status: "failed",
    against: "running to the end",
    error: 1,
    tolerance: 0,
    message: message.split("\n")[0] ?? "",
  };
  return { ...key, figures: {}, check, notes: {} };
}

export const unchecked: Check = { status: "skipped", reason: "--no-refcheck" };
