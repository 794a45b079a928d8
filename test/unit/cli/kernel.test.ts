import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { registerKernel } from "../../../src/cli/commands/kernel.ts";
import { installedNvrtc, NO_NVRTC } from "../../compile/nvrtc-here.ts";
import { buildStub } from "../driver/build-stub.ts";

let folder = "";
let stdout = "";
let stderr = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-kernel-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  stdout = "";
  stderr = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(console, "error").mockImplementation((text) => {
    stderr += `${text}\n`;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

/** Runs `hydra kernel run` in this process. */
async function run(...args: string[]): Promise<void> {
  const program = new Command("hydra").exitOverride().configureOutput({ writeErr: () => {} });
  registerKernel(program);
  await program.parseAsync(["node", "hydra", "kernel", "run", ...args]);
}

const cuda = (text: string): string => {
  const file = join(folder, "kernel.cu");
  writeFileSync(file, text);
  return file;
};
const SHAPE = ["--grid", "1", "--block", "32"];

describe("hydra kernel run: usage", () => {
  it.each([
    [["--grid", "1", "--block", "32"], "entry"],
    [["--entry", "k", "--block", "32"], "grid"],
    [["--entry", "k", "--grid", "1"], "block"],
    [["--entry", "k", ...SHAPE, "--grid", "0"], "X,Y,Z"],
    [["--entry", "k", ...SHAPE, "--grid", "1,2,3,4"], "X,Y,Z"],
    [["--entry", "k", ...SHAPE, "--shared", "1k"], "whole number"],
    [["--entry", "k", ...SHAPE, "--arch", "ampere"], "sm_80"],
    [["--entry", "k", ...SHAPE, "--define", "1A=2"], "NAME=VALUE"],
    [["--entry", "k", ...SHAPE, "--arg", "f32:1024"], "DTYPE:COUNT:INIT"],
    [["--entry", "k", ...SHAPE, "--device", "tpu"], "emulator, cuda"],
    [["--entry", "k", ...SHAPE, "--nonsense"], "nonsense"],
  ])("refuses %j", async (args, message) => {
    const failure = await run(cuda(""), ...args).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CommanderError);
    expect((failure as CommanderError).message).toContain(message);
  });

  it("says that a file is not there", async () => {
    await expect(run(join(folder, "none.cu"), "--entry", "k", ...SHAPE)).rejects.toThrow(
      "The CUDA file cannot be read.",
    );
  });
});

const stub = buildStub();
const nvrtc = installedNvrtc().at(0);
const missing = "missing" in stub ? stub.missing : nvrtc === undefined ? NO_NVRTC : undefined;

// The stub driver runs nothing, but shows that every step up to the launch and back is taken.
describe.skipIf(missing !== undefined)(`hydra kernel run on a stub driver ${missing ?? ""}`, () => {
  beforeEach(() => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", "path" in stub ? stub.path : "");
    vi.stubEnv("HYDRANT_NVRTC", nvrtc?.nvrtc.library.path ?? "");
    vi.stubEnv("HYDRANT_CACHE_DIR", folder);
  });
  const SOURCE = `template <int N>
__global__ void k(float* x, float s, long long n, unsigned char b) {
  x[threadIdx.x] = s * N * SCALE + n + b;
}
`;

  it("compiles, fills buffers, launches, and prints one JSON object", async () => {
    await run(
      cuda(SOURCE),
      ...["--entry", "k<3>", "--grid", "2,3", "--block", "32", "--arch", "sm_80"],
      ...["--device", "cuda", "--define", "SCALE=2", "--dump", join(folder, "out"), "--json"],
      ...["--arg", "f32:8:iota", "--arg", "f32=0.5", "--arg", "i64=-7", "--arg", "u8=200"],
    );
    const printed = JSON.parse(stdout) as Record<string, unknown>;
    expect(Object.keys(printed)).toEqual(["findings", "counters", "resources", "ms"]);
    expect(printed).toMatchObject({ findings: [], ms: 1.5, resources: { spillBytes: 0 } });
    const dumped = readFileSync(join(folder, "out", "arg0.bin"));
    expect([...new Float32Array(dumped.buffer, dumped.byteOffset, 8)]).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7,
    ]);
    expect(process.exitCode).toBeUndefined();
  });

  it("counts the arguments against the kernel's parameters", async () => {
    await expect(
      run(
        cuda(SOURCE),
        ...["--entry", "k<3>", ...SHAPE, "--arch", "sm_80", "--device", "cuda"],
        ...["--define", "SCALE=2", "--arg", "f32:8:iota"],
      ),
    ).rejects.toThrow("k<3> takes 4 arguments of 8, 4, 8, 1 bytes; 1 of 8 bytes were given.");
  });

  it("lists the kernels of a file that lacks the one asked for", async () => {
    const attempt = run(
      cuda(`${SOURCE}extern "C" __global__ void __launch_bounds__(32) other() {}\n`),
      ...["--entry", "nope", ...SHAPE, "--arch", "sm_80", "--device", "cuda"],
      ...["--define", "SCALE=2"],
    );
    await expect(attempt).rejects.toThrow(
      expect.objectContaining({
        code: "kernel/entry",
        hint: "Its kernels are k, other; a template needs its arguments: name<float, 4>.",
      }) as Error,
    );
  });

  it("shows log, source and command of a failed compilation", async () => {
    const attempt = run(
      cuda('extern "C" __global__ void k(float* x) {\n  y[0] = 1;\n}\n'),
      ...["--entry", "k", ...SHAPE, "--arch", "sm_80", "--device", "cuda", "--arg", "f32:8:iota"],
    );
    await expect(attempt).rejects.toThrow('identifier "y" is undefined');
    expect(stderr).toContain("> 2 |   y[0] = 1;");
    expect(stderr).toContain("nvcc --cubin -arch=sm_80");
  });
});
