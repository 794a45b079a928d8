import type { Environment } from "../decode/environment.ts";
import type { Spread } from "../decode/statistics.ts";
import type { PromptsResults } from "../prompts/results.ts";

/** What `npm run bench -- --json FILE` writes. */
export interface BenchResults {
  readonly format: "hydrant bench 1";
  /** The command line that makes it again, from `npm run bench` on. */
  readonly command: string;
  readonly environment: Environment;
  /** One for every device that took part. */
  readonly devices: readonly BenchDevice[];
  /** Runnable processes over the last minute when it ended, the benchmark's own included. */
  readonly loadAfter: number;
  readonly seconds: number;
  readonly entries: readonly BenchEntry[];
  /** Of `bench prompts`. */
  readonly prompts?: PromptsResults | undefined;
}

export interface BenchDevice {
  /** As in `--device`: `cpu`, `emulator`, `cuda:0`. */
  readonly name: string;
  /** For people: `NVIDIA H200, driver 580.65, NVRTC 13.0`; `2 threads`. */
  readonly details: string;
  /** Bytes a second a copy in device memory was measured to move; GPUs only. */
  readonly copyBandwidth?: number | undefined;
  /** Operations a second measured for large bf16 matrix products; GPUs only. */
  readonly matrixRate?: number | undefined;
}

export const benchSuites = ["kernels", "steps", "decode"] as const;
export type BenchSuite = (typeof benchSuites)[number];

/** One case on one device. */
export interface BenchEntry {
  /** Unique in a file, the same from run to run: `kernels/linear/gate_up/vicuna-7b/8@cpu`. */
  readonly id: string;
  readonly suite: BenchSuite;
  /** Family of the kernel, or the method that decodes: `attention`, `plain`, `hydra++`. */
  readonly family: string;
  /** What of the family: `gate_up`, `context 2048`. */
  readonly name: string;
  /** Shape of the model: `vicuna-7b`, `demo`. */
  readonly shape: string;
  readonly device: string;
  /** Tokens that go through at once. */
  readonly rows: number;
  /** By name: `time`, `bandwidth`, `instructions`, `tokens per step`. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly check: Check;
  /** What the figures cannot say. */
  readonly notes: Readonly<Record<string, string | number>>;
}

export interface Figure extends Spread {
  /** `ms`, `GB/s`, `tokens/s`, `bytes`, `count`, `ratio`. */
  readonly unit: string;
  /** Measurements the spread is of. */
  readonly count: number;
  /** Which way is progress; `same`: any change is one, as the figure is no measurement of time. */
  readonly better: "lower" | "higher" | "same";
}

/** Whether what was measured also computes the right thing. */
export type Check =
  | {
      readonly status: "passed" | "failed";
      /** `reference interpreter`, `plain decoding`. */
      readonly against: string;
      /** Largest difference over the largest result; 0 where bits are compared. */
      readonly error: number;
      readonly tolerance: number;
      readonly message?: string | undefined;
    }
  | { readonly status: "skipped"; readonly reason: string };
