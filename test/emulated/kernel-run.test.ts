import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { registerKernel } from "../../src/cli/commands/kernel.ts";
import { type KernelRunResult, parseKernelArg, runKernel } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

const installed = installedNvrtc();
let folder = "";
let stdout = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-run-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

if (installed.length === 0) describe.skip(NO_NVRTC, () => it("runs kernels", () => {}));

describe.each(installed)("hydra kernel run on the emulator, $name", ({ nvrtc }) => {
  beforeEach(() => {
    stdout = "";
    vi.stubEnv("HYDRANT_NVRTC", nvrtc.library.path);
    vi.stubEnv("HYDRANT_CACHE_DIR", folder);
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      stdout += String(text);
      return true;
    });
  });

  /** Runs the command on `source` and returns what `--json` printed, with the exit code. */
  async function run(
    source: string,
    ...args: string[]
  ): Promise<Omit<KernelRunResult, "buffers"> & { exitCode: unknown }> {
    const file = join(folder, "kernel.cu");
    writeFileSync(file, source);
    const program = new Command("hydra").exitOverride();
    registerKernel(program);
    await program.parseAsync(["node", "hydra", "kernel", "run", file, "--json", ...args]);
    const printed = JSON.parse(stdout) as Omit<KernelRunResult, "buffers">;
    return { ...printed, exitCode: process.exitCode };
  }
  const dumped = (position: number): ArrayBuffer =>
    new Uint8Array(readFileSync(join(folder, "out", `arg${position}.bin`))).buffer;

  it.each([
    ["144 bytes apart", 144, 0],
    ["128 bytes apart, all in the same banks", 128, 4 * 7],
    ["64 bytes apart, every second in the same banks", 64, 4 * 3],
  ])("counts the bank conflicts of ldmatrix: rows %s", async (_what, pitch, conflicts) => {
    const { counters, findings } = await run(
      `#include "prelude/all.cuh"
extern "C" __global__ void rows(u32* out) {
  __shared__ alignas(16) unsigned char tiles[32 * ${pitch}];
  for (int i = threadIdx.x; i < 8 * ${pitch}; i += 32) reinterpret_cast<u32*>(tiles)[i] = i;
  __syncwarp();
  u32 fragment[4];
  ldmatrix_x4(fragment, shared_address(tiles) + threadIdx.x * ${pitch});
  out[threadIdx.x] = fragment[0] + fragment[1] + fragment[2] + fragment[3];
}`,
      ...["--entry", "rows", "--grid", "1", "--block", "32", "--arg", "u32:32:uninit"],
    );
    expect(findings).toEqual([]);
    expect(counters.sharedBankConflicts).toBe(conflicts);
  });

  const SAXPY = `template <typename T>
__global__ void saxpy(T* y, const T* x, T a, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i] + BIAS;
}
`;
  const saxpy = [
    ...["--grid", "4", "--block", "32", "--define", "BIAS=1"],
    ...["--arg", "f32:100:ones", "--arg", "f32:100:iota", "--arg", "f32=2"],
  ];

  it("runs a clean kernel: exit code 0, no findings, counters and right values", async () => {
    const result = await run(
      SAXPY,
      ...["--entry", "saxpy<float>", ...saxpy, "--arg", "i32=100", "--dump", join(folder, "out")],
    );
    expect(result).toMatchObject({ findings: [], exitCode: undefined });
    expect([...new Float32Array(dumped(0))]).toEqual(
      Array.from({ length: 100 }, (_, i) => 2 + 2 * i),
    );
    expect([...new Float32Array(dumped(1))]).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(result.counters).toMatchObject({
      globalBytesRead: 800,
      globalBytesWritten: 400,
      sharedBankConflicts: 0,
    });
    expect(result.counters.laneInstructions).toBeGreaterThan(1000);
    expect(result.counters.sectorsPerRequest).toBeGreaterThan(0);
    expect(result.resources.registers).toBeGreaterThan(3);
    expect(result.ms).toBeGreaterThan(0);
  });

  it('takes extern "C" kernels, half types and scalars of every width', async () => {
    const source = `extern "C" __global__ void mix(double* out, double a, float b, long long c, int d,
    unsigned e, signed char f, unsigned char g, unsigned short h) {
  out[threadIdx.x] = a + b + c + d + e + f + g + h;
}
`;
    await run(
      source,
      ...["--entry", "mix", "--grid", "1", "--block", "2", "--arg", "f64:2:uninit"],
      ...["--arg", "f64=0.25", "--arg", "f32=0.5", "--arg", "i64=-4294967296", "--arg", "i32=-3"],
      ...["--arg", "u32=4294967295", "--arg", "i8=-100", "--arg", "u8=200", "--arg", "f16=1"],
      ...["--dump", join(folder, "out")],
    );
    const sum = 0.25 + 0.5 - 4294967296 - 3 + 4294967295 - 100 + 200 + 0x3c00;
    expect([...new Float64Array(dumped(0))]).toEqual([sum, sum]);
  });

  it("reports an access out of bounds with its place and exits with 3", async () => {
    const result = await run(SAXPY, "--entry", "saxpy<float>", ...saxpy, "--arg", "i32=101");
    expect(result.exitCode).toBe(3);
    const [finding] = result.findings;
    expect(finding).toMatchObject({ kind: "out-of-bounds", line: 4, block: [3, 0, 0] });
    expect(finding?.thread).toEqual([4, 0, 0]);
    expect(finding?.file).toBe(join(folder, "kernel.cu"));
    expect(finding?.kernel).toContain("saxpy");
    expect(Object.keys(finding ?? {}).sort()).toEqual(
      ["block", "file", "kernel", "kind", "line", "message", "ptxLine", "thread"].sort(),
    );
  });

  it("reports a read of what nothing has written", async () => {
    const result = await run(
      `extern "C" __global__ void sum(float* out, const float* in) {\n  out[threadIdx.x] = in[threadIdx.x] + 1.0f;\n}\n`,
      ...["--entry", "sum", "--grid", "1", "--block", "32"],
      ...["--arg", "f32:32:zeros", "--arg", "f32:32:uninit"],
    );
    expect(result.exitCode).toBe(3);
    expect(result.findings[0]).toMatchObject({ kind: "uninitialized", line: 2 });
  });

  it("reports a missing barrier as a race, whatever the seed", async () => {
    const source = `extern "C" __global__ void reverse(float* x) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = tile[63 - threadIdx.x];
}
`;
    for (const seed of ["0", "1", "2"]) {
      stdout = "";
      const result = await run(
        source,
        ...["--entry", "reverse", "--grid", "1", "--block", "64", "--arg", "f32:64:iota"],
        ...["--seed", seed],
      );
      expect(result.exitCode).toBe(3);
      expect(result.findings.some(({ kind }) => kind === "race" || kind === "uninitialized")).toBe(
        true,
      );
    }
  });

  it("ends a kernel that never ends", async () => {
    const { findings, buffers, ms } = await runKernel({
      source: `extern "C" __global__ void spin(volatile int* x) {\n  while (x[0] == 0) {\n  }\n}\n`,
      fileName: "spin.cu",
      entry: "spin",
      grid: { x: 1, y: 1, z: 1 },
      block: { x: 32, y: 1, z: 1 },
      args: [parseKernelArg("i32:1:zeros")],
      fuel: 1e5,
    });
    expect(["fuel", "deadlock"]).toContain(findings[0]?.kind);
    expect(findings[0]).toMatchObject({ kernel: "spin", file: "spin.cu", line: 2 });
    expect(buffers).toEqual([undefined]);
    expect(ms).toBeGreaterThan(0);
  });

  it("names what the emulator cannot execute instead of skipping it", async () => {
    const result = await run(
      `__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
extern "C" __global__ void k(int* x) { x[0] = fib(x[1]); }
`,
      ...["--entry", "k", "--grid", "1", "--block", "1", "--arg", "i32:2:iota"],
    );
    expect(result.exitCode).toBe(3);
    expect(result.findings[0]).toMatchObject({ kind: "unsupported", line: 1 });
    expect(result.findings[0]?.message).toContain("recursive");
  });

  it("gives dynamic shared memory", async () => {
    const source = `extern "C" __global__ void fill(int* out) {
  extern __shared__ int tile[];
  for (int i = threadIdx.x; i < 20000; i += 32) tile[i] = i;
  __syncthreads();
  out[threadIdx.x] = tile[19999 - threadIdx.x];
}
`;
    const result = await run(
      source,
      ...["--entry", "fill", "--grid", "1", "--block", "32", "--shared", "80000"],
      ...["--arg", "i32:32:uninit", "--dump", join(folder, "out")],
    );
    expect(result.findings).toEqual([]);
    expect([...new Int32Array(dumped(0))]).toEqual(Array.from({ length: 32 }, (_, i) => 19999 - i));
  });
});
