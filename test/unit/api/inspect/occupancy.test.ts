import { describe, expect, it } from "vitest";
import { gpuLimits } from "../../../../src/api/inspect/gpu-limits.ts";
import { modelledTime, usesTensorCores } from "../../../../src/api/inspect/model-time.ts";
import { occupancy } from "../../../../src/api/inspect/occupancy.ts";

const KiB = 1024;
const [a100, a40, h200] = [gpuLimits("sm_80"), gpuLimits("sm_86"), gpuLimits("sm_90a")];

describe("blocks on a multiprocessor", () => {
  // CUDA C++ Best Practices Guide, "Calculating occupancy": registers come in 256 a warp.
  it("agrees with NVIDIA's example of 37 registers a thread", () => {
    expect(occupancy({ threads: 128, registers: 37, sharedBytes: 0 }, a100)).toEqual({
      blocksPerMultiprocessor: 12,
      fraction: 0.75,
      limitedBy: "registers",
    });
    expect(occupancy({ threads: 320, registers: 37, sharedBytes: 0 }, a100)).toEqual({
      blocksPerMultiprocessor: 4,
      fraction: 0.625,
      limitedBy: "registers",
    });
  });

  // Ampere and Hopper tuning guides: 164 and 228 KiB, of which each block costs 1 KiB more.
  it("counts the kilobyte of shared memory the system takes of every block", () => {
    const blocks = (kibibytes: number, gpu: typeof a100) =>
      occupancy({ threads: 128, registers: 32, sharedBytes: kibibytes * KiB }, gpu);
    expect(blocks(163, a100)).toMatchObject({
      blocksPerMultiprocessor: 1,
      limitedBy: "shared memory",
    });
    expect(blocks(81, a100).blocksPerMultiprocessor).toBe(2);
    expect(blocks(82, a100).blocksPerMultiprocessor).toBe(1);
    expect(blocks(113, h200).blocksPerMultiprocessor).toBe(2);
    expect(blocks(114, h200).blocksPerMultiprocessor).toBe(1);
    expect(blocks(49, a40).blocksPerMultiprocessor).toBe(2);
    expect(blocks(50, a40).blocksPerMultiprocessor).toBe(1);
  });

  it("is full where only threads or blocks limit it", () => {
    const full = { threads: 256, registers: 32, sharedBytes: 0 };
    expect(occupancy(full, h200)).toMatchObject({ blocksPerMultiprocessor: 8, fraction: 1 });
    expect(occupancy(full, a40)).toEqual({
      blocksPerMultiprocessor: 6,
      fraction: 1,
      limitedBy: "threads",
    });
    expect(occupancy({ ...full, threads: 32 }, a40)).toEqual({
      blocksPerMultiprocessor: 16,
      fraction: 1 / 3,
      limitedBy: "blocks",
    });
  });

  it("is nothing for a block that takes more than there is", () => {
    expect(occupancy({ threads: 1024, registers: 255, sharedBytes: 0 }, h200)).toMatchObject({
      blocksPerMultiprocessor: 0,
      limitedBy: "registers",
    });
    expect(occupancy({ threads: 32, registers: 32, sharedBytes: 164 * KiB }, a100)).toMatchObject({
      blocksPerMultiprocessor: 0,
      fraction: 0,
    });
  });
});

describe("the least time of a launch", () => {
  const traffic = { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 };

  it("is what bytes or operations take at the peaks, whichever is longer", () => {
    expect(modelledTime({ ...traffic, weightBytes: 48e6 }, true, h200)).toBeCloseTo(10, 9);
    expect(modelledTime({ ...traffic, readBytes: 24e6, writtenBytes: 24e6 }, true, h200)).toBe(
      modelledTime({ ...traffic, weightBytes: 48e6 }, true, h200),
    );
    const busy = { ...traffic, weightBytes: 48e6, flops: 67e9 };
    expect(modelledTime(busy, true, h200)).toBeCloseTo(67e9 / 989e6, 6);
    expect(modelledTime(busy, false, h200)).toBeCloseTo(1000, 6);
  });

  it("is the gap between kernels for one that does nearly nothing", () => {
    expect(modelledTime({ ...traffic, readBytes: 4 }, false, h200)).toBe(h200.launchGap);
  });

  it("takes kernels for tensor cores' whose bodies are", () => {
    expect(usesTensorCores({ source: '#include "kernels/linear/linear-tensor-cores.cuh"\n' })).toBe(
      true,
    );
    expect(usesTensorCores({ source: '#include "kernels/linear/linear-warpgroups.cuh"\n' })).toBe(
      true,
    );
    expect(usesTensorCores({ source: '#include "kernels/attention/tensor-core.cuh"\n' })).toBe(
      true,
    );
    expect(usesTensorCores({ source: '#include "kernels/linear/linear-cuda-cores.cuh"\n' })).toBe(
      false,
    );
  });
});
