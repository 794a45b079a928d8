/** What ptxas prints about each kernel with `--ptxas-options=-v`. */
export interface ResourceUsage {
  /** 32-bit registers per thread. */
  readonly registers: number;
  /** Bytes per thread written to and read from local memory for lack of registers, summed. */
  readonly spillBytes: number;
  /** Bytes of stack per thread: spills, and arrays that registers cannot hold. */
  readonly stackBytes: number;
  /** Bytes of static shared memory per block. */
  readonly sharedBytes: number;
  /** Named barriers used. NVRTC before 12 does not print them: 0. */
  readonly barriers: number;
}

const NONE: ResourceUsage = {
  registers: 0,
  spillBytes: 0,
  stackBytes: 0,
  sharedBytes: 0,
  barriers: 0,
};

/**
 * Reads a compilation log, by kernel symbol (mangled as compiled). Lines it does not know are
 * skipped: warnings share the log. Figures a version does not print stay 0.
 */
export function parseResourceUsage(log: string): Record<string, ResourceUsage> {
  const usage: Record<string, ResourceUsage> = {};
  let entry: string | undefined;
  // "Function properties" also come for device functions that were not inlined: not kernels.
  let inEntry = false;
  for (const line of log.split("\n")) {
    const start = /Compiling entry function '([^']+)'/.exec(line)?.[1];
    if (start !== undefined) {
      entry = start;
      inEntry = true;
      usage[entry] = NONE;
      continue;
    }
    const properties = /Function properties for '?([^'\s]+)/.exec(line)?.[1];
    if (properties !== undefined) inEntry = properties === entry;
    if (entry === undefined) continue;
    const soFar = usage[entry] ?? NONE;
    const stack = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(
      line,
    );
    if (stack !== null && inEntry) {
      usage[entry] = {
        ...soFar,
        stackBytes: Number(stack[1]),
        spillBytes: Number(stack[2]) + Number(stack[3]),
      };
    }
    const registers = /Used (\d+) registers/.exec(line);
    if (registers !== null) {
      usage[entry] = {
        ...soFar,
        registers: Number(registers[1]),
        sharedBytes: Number(/(\d+)(?:\+\d+)? bytes smem/.exec(line)?.[1] ?? 0),
        barriers: Number(/used (\d+) barriers/.exec(line)?.[1] ?? 0),
      };
    }
  }
  return usage;
}
