import type { GpuLimits, Occupancy } from "../../inspection/inspection.ts";

/** What a block of a kernel takes. */
export interface BlockNeeds {
  readonly threads: number;
  /** Per thread. */
  readonly registers: number;
  /** Static and dynamic. */
  readonly sharedBytes: number;
}

const warpSize = 32;
/** Registers are given to warps in these amounts, and warps live in four parts of a multiprocessor. */
const registerUnit = 256;
const partitions = 4;
const sharedUnit = 128;
/** What the system takes of shared memory for every block, from compute capability 8.0 on. */
const sharedReserve = 1024;

/**
 * Blocks of a kernel that fit on a multiprocessor at once, by the rules of NVIDIA's occupancy
 * calculator for compute capability 8.0 and newer, with as much of the L1 cache as shared memory as
 * there can be. A kernel that does not fit at all has 0 blocks.
 */
export function occupancy(needs: BlockNeeds, gpu: GpuLimits): Occupancy {
  const warps = Math.ceil(needs.threads / warpSize);
  const mostWarps = gpu.threadsPerMultiprocessor / warpSize;
  const registersPerWarp = roundUp(Math.max(needs.registers, 1) * warpSize, registerUnit);
  const warpsPerPartition = Math.floor(
    gpu.registersPerMultiprocessor / partitions / registersPerWarp,
  );
  const shared = roundUp(needs.sharedBytes + sharedReserve, sharedUnit);
  const limits = [
    {
      limitedBy: "registers",
      blocks: Math.floor((warpsPerPartition * partitions) / warps),
    },
    {
      limitedBy: "shared memory",
      blocks:
        needs.sharedBytes > gpu.sharedBytesPerBlock
          ? 0
          : Math.floor(gpu.sharedBytesPerMultiprocessor / shared),
    },
    { limitedBy: "threads", blocks: Math.floor(mostWarps / warps) },
    { limitedBy: "blocks", blocks: gpu.blocksPerMultiprocessor },
  ] as const;
  // Of equal limits the one a person can do least about comes last in the list and wins.
  const least = limits.reduce((best, limit) => (limit.blocks <= best.blocks ? limit : best));
  return {
    blocksPerMultiprocessor: least.blocks,
    fraction: (least.blocks * warps) / mostWarps,
    limitedBy: least.limitedBy,
  };
}

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
