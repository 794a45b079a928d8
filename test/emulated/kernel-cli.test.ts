import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { hydra } from "../helpers/cli.ts";

let folder = "";
let file = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-cli-"));
  file = join(folder, "double.cu");
  writeFileSync(
    file,
    `__global__ void twice(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= 2;
}
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) =>
  hydra([
    ...["kernel", "run", file, "--entry", "twice", "--grid", "2", "--block", "32"],
    ...["--arg", "i32:40:iota", ...args],
  ]);

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs kernels", () => {}));

describe.skipIf(installedNvrtc().length === 0)("hydra kernel run, as a process", () => {
  it("exits with 0 after a clean run, with nothing but one object on stdout", async () => {
    const { code, stdout, stderr } = await run("--arg", "i32=40", "--json", "--dump", folder);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ findings: [] });
    const bytes = readFileSync(join(folder, "arg0.bin"));
    expect(bytes.readInt32LE(4 * 39)).toBe(78);
  });

  it("exits with 3 and points at the line when the kernel is at fault", async () => {
    const { code, stdout } = await run("--arg", "i32=41");
    expect(code).toBe(3);
    expect(stdout).toContain(`${file}:3: out-of-bounds:`);
    expect(stdout).toContain("block 1,0,0, thread 8,0,0");
  });

  it("exits with 1 and one line on stderr when the run fails", async () => {
    const { code, stdout, stderr } = await run();
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      "hydra: twice takes 2 arguments of 8, 4 bytes; 1 of 8 bytes were given. Give one --arg per kernel parameter, in order; a buffer is a pointer of 8 bytes.\n",
    );
  });

  it("exits with 2 when the command is wrong", async () => {
    const { code, stderr } = await run("--arg", "i32:none");
    expect(code).toBe(2);
    expect(stderr).toContain("DTYPE:COUNT:INIT");
  });
});
