/** What a driver that watches its kernels has to tell, beyond `CudaDriver`: the emulator's extras. */
import type { CudaDriver } from "./driver.ts";

export const FINDING_KINDS = [
  "out-of-bounds",
  "misaligned",
  "uninitialized",
  "race",
  "missing-wait",
  "missing-fence",
  "barrier-divergence",
  "deadlock",
  "use-after-free",
  "stream-race",
  "double-free",
  "leak",
  "fuel",
  "unsupported",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export type Index3 = readonly [x: number, y: number, z: number];

/** One fault of a program, at the place it was noticed. Fields that do not apply are null. */
export interface Finding {
  readonly kind: FindingKind;
  /** Symbol of the kernel; null for faults of the host side (leak, double-free). */
  readonly kernel: string | null;
  /** CUDA source position, from line information. */
  readonly file: string | null;
  readonly line: number | null;
  /** 1-based line of the PTX text of the module. */
  readonly ptxLine: number | null;
  readonly block: Index3 | null;
  readonly thread: Index3 | null;
  /** One line: what happened, to which memory, and for races who else was there. */
  readonly message: string;
}

/** Totals over launches. They depend on the program alone, never on the machine. */
export interface KernelCounters {
  /** PTX instructions times active lanes. */
  readonly laneInstructions: number;
  /** Bytes the active lanes asked for, before any cache. */
  readonly globalBytesRead: number;
  readonly globalBytesWritten: number;
  /**
   * Extra passes that shared-memory accesses of a warp take because lanes meet in a bank: of loads,
   * stores, ldmatrix and stmatrix. Not of asynchronous copies, whose bytes arrive when they arrive.
   */
  readonly sharedBankConflicts: number;
  /** 32-byte sectors touched per global access of a warp: 4 for 32 adjacent 4-byte words. */
  readonly sectorsPerRequest: number;
  readonly [more: string]: number | Readonly<Record<string, number>>;
}

export interface EmulatorOptions {
  /** Which GPU to be; `9.0` has clusters, bulk copies and wgmma. Default `8.0`. */
  readonly computeCapability?: "8.0" | "9.0";
  /** Order in which blocks and warps take turns. Same seed, same run. Default 0. */
  readonly seed?: number;
  /** Looks for the faults of `FINDING_KINDS`; about five times slower. Default true. */
  readonly sanitizer?: boolean;
  /** Warp instructions one launch may execute before it counts as endless. */
  readonly fuel?: number;
  /** Bytes of device memory. */
  readonly memoryBytes?: number;
}

export interface InstrumentedDriver extends CudaDriver {
  readonly kind: "emulator";
  /** All faults so far, in the order they were noticed; those of `close` (leaks) after it. */
  findings(): readonly Finding[];
  /** Totals of all launches so far. */
  counters(): KernelCounters;
}
