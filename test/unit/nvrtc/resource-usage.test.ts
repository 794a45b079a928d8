import { describe, expect, it } from "vitest";
import { parseResourceUsage } from "../../../runtime/nvrtc/resource-usage.ts";

const NVRTC_11 = `gemm.cu(3): warning #177-D: variable "x" was declared but never referenced

ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'gemm' for 'sm_80'
ptxas info    : Function properties for gemm
ptxas         .     24 bytes stack frame, 20 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 255 registers, 20480 bytes smem, 388 bytes cmem[0]
`;

const NVRTC_13 = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z1aPf' for 'sm_90a'
ptxas info    : Function properties for _Z1aPf
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 128 bytes smem
ptxas info    : Compile time = 6.394 ms
ptxas info    : Compiling entry function 'b' for 'sm_90a'
ptxas info    : Function properties for helper
ptxas         .     64 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Function properties for b
ptxas         .     16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 16 bytes cumulative stack size
`;

describe("resource usage", () => {
  it("reads registers, spills and shared memory among warnings", () => {
    expect(parseResourceUsage(NVRTC_11)).toEqual({
      gemm: { registers: 255, spillBytes: 48, stackBytes: 24, sharedBytes: 20480, barriers: 0 },
    });
  });

  it("tells kernels apart and leaves out functions that are not kernels", () => {
    expect(parseResourceUsage(NVRTC_13)).toEqual({
      _Z1aPf: { registers: 10, spillBytes: 0, stackBytes: 0, sharedBytes: 128, barriers: 1 },
      b: { registers: 32, spillBytes: 0, stackBytes: 16, sharedBytes: 0, barriers: 0 },
    });
  });

  it("finds nothing in a log without figures", () => {
    expect(parseResourceUsage("")).toEqual({});
    expect(parseResourceUsage("k.cu(1): warning: x\n")).toEqual({});
  });
});
