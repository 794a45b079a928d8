import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import type { CompileRequest } from "../../runtime/nvrtc/compile.ts";
import { compileAll } from "../../runtime/nvrtc/compile-all.ts";
import type { Nvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const installed = installedNvrtc();
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const requests: CompileRequest[] = Array.from({ length: 12 }, (_, i) => ({
  source: `extern "C" __global__ void k${i}(float* p) { p[threadIdx.x] *= ${i}.0f; }\n`,
  name: `k${i}.cu`,
  arch: "sm_80",
}));

if (installed.length === 0) describe.skip(NO_NVRTC, () => it("compiles many kernels", () => {}));

describe.each(installed.slice(0, 1))("many kernels with $name", ({ nvrtc }) => {
  it("come out the same, and in order, from threads and from none", async () => {
    const cache = new KernelCache({ directory: mkdtempSync(join(tmpdir(), "hydrant-all-")) });
    folders.push(cache.directory);
    let compiledHere = 0;
    const watched: Nvrtc = {
      ...nvrtc,
      compile: (input) => {
        compiledHere += 1;
        return nvrtc.compile(input);
      },
    };
    const threaded = await compileAll(watched, requests, cache, { workers: 2 });
    expect(compiledHere).toBe(0);
    expect(readdirSync(cache.directory)).toHaveLength(requests.length);
    const serial = await compileAll(nvrtc, requests, undefined, { workers: 1 });
    expect(threaded.map(({ ptx }) => ptx)).toEqual(serial.map(({ ptx }) => ptx));
    expect(threaded.map(({ cubin }) => cubin.length)).toEqual(
      serial.map(({ cubin }) => cubin.length),
    );
    const again = await compileAll(nvrtc, requests, cache, { workers: 2 });
    expect(again.every(({ fromCache }) => fromCache)).toBe(true);
  });

  it("report the first one at fault as if it were alone", async () => {
    const broken = requests.map((request, index) =>
      index === 7 ? { ...request, source: "not CUDA\n" } : request,
    );
    await expect(compileAll(nvrtc, broken, undefined, { workers: 2 })).rejects.toThrow(
      expect.objectContaining({ code: "nvrtc/compile", path: "k7.cu:1" }) as Error,
    );
  });
});
