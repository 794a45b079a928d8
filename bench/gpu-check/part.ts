import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Spread, spread } from "../decode/statistics.ts";

/** What a part found. Written anew after every check, so that a killed part leaves what it had. */
export interface PartResult {
  readonly passed: number;
  readonly failed: readonly { readonly name: string; readonly message: string }[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** Measurements: median, least and greatest of `count` values. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly notes: Readonly<Record<string, string | number>>;
  /** Microseconds of one launch by kernel, where launches were timed: what `inspect --measured` reads. */
  readonly profile?: Readonly<Record<string, number>>;
}

export interface Figure extends Spread {
  readonly unit: string;
  readonly count: number;
}

/** A part of the check: a process of its own. */
export type PartRun = (part: PartContext) => Promise<void>;

const longestMessage = 1200;

/** What a part is given and reports to. */
export class PartContext {
  /** As for `loadModel`: `cuda`, `cuda:1`, `emulator`. */
  readonly device: string;
  /** Everything in its smallest useful size: the emulator and the CPU are slow. */
  readonly small: boolean;
  readonly #file: string;
  #passed = 0;
  readonly #failed: { name: string; message: string }[] = [];
  readonly #skipped: { name: string; reason: string }[] = [];
  readonly #figures: Record<string, Figure> = {};
  readonly #notes: Record<string, string | number> = {};
  readonly #profile: Record<string, number> = {};

  /** @param file where the result goes. */
  constructor(device: string, file: string, small = !device.startsWith("cuda")) {
    this.device = device;
    this.small = small;
    this.#file = file;
    this.#write();
  }

  get failures(): number {
    return this.#failed.length;
  }

  /** Runs a check; one that throws has failed, and the part goes on. */
  async check(name: string, run: () => void | Promise<void>): Promise<void> {
    try {
      await run();
      this.#passed++;
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#failed.push({ name, message: text.slice(0, longestMessage) });
    }
    this.#write();
  }

  skip(name: string, reason: string): void {
    this.#skipped.push({ name, reason });
    this.#write();
  }

  /** Records a measurement. */
  figure(name: string, unit: string, values: readonly number[]): void {
    const { median, min, max } = spread(values);
    const digits = (value: number) => Number(value.toPrecision(5));
    this.#figures[name] = {
      unit,
      median: digits(median),
      min: digits(min),
      max: digits(max),
      count: values.length,
    };
    this.#write();
  }

  /** Leaves a file of its own beside the results: `gpu-cuda-2026-01-31-bench.json`. */
  keep(name: string, text: string): void {
    writeFileSync(join(dirname(this.#file), name), text);
  }

  note(name: string, value: string | number): void {
    this.#notes[name] = typeof value === "number" ? Number(value.toPrecision(6)) : value;
    this.#write();
  }

  /** Records how long one launch of a kernel takes. */
  launchTime(kernel: string, microseconds: number): void {
    this.#profile[kernel] = Number(microseconds.toPrecision(5));
  }

  #write(): void {
    const result: PartResult = {
      passed: this.#passed,
      failed: this.#failed,
      skipped: this.#skipped,
      figures: this.#figures,
      notes: this.#notes,
      ...(Object.keys(this.#profile).length === 0 ? {} : { profile: this.#profile }),
    };
    writeFileSync(this.#file, JSON.stringify(result));
  }
}
