import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { CompileError } from "../../runtime/nvrtc/compile-error.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const installed = installedNvrtc();
const KERNEL = `template <typename T>
__global__ void reverse(T* p) {
  __shared__ T tile[32];
  tile[threadIdx.x] = p[threadIdx.x];
  __syncthreads();
  p[threadIdx.x] = tile[31 - threadIdx.x] * SCALE;
}
`;

if (installed.length === 0) describe.skip(NO_NVRTC, () => it("compiles CUDA", () => {}));

// Failing sources are kept in the cache folder: not in the user's own.
const home = mkdtempSync(join(tmpdir(), "hydrant-home-"));
beforeAll(() => {
  vi.stubEnv("HYDRANT_CACHE_DIR", home);
});
afterAll(() => rmSync(home, { recursive: true }));

describe.each(installed)("$name", ({ nvrtc }) => {
  const request = {
    source: KERNEL,
    name: "reverse.cu",
    arch: "sm_80",
    defines: { SCALE: "2" },
    nameExpressions: ["reverse<float>", "reverse<int>"],
  };

  it("compiles to PTX and a cubin, resolves C++ names and reports resources", () => {
    const module = compileCuda(nvrtc, request);
    expect(module.ptx).toContain(".target sm_80");
    expect(new TextDecoder().decode(module.cubin.subarray(1, 4))).toBe("ELF");
    const symbol = module.loweredNames["reverse<float>"] ?? "";
    expect(module.ptx).toContain(`.entry ${symbol}`);
    expect(module.resources[symbol]).toMatchObject({ sharedBytes: 128, spillBytes: 0 });
    expect(module.resources[symbol]?.registers).toBeGreaterThan(3);
  });

  it("keeps the source lines in the PTX", () => {
    const { ptx } = compileCuda(nvrtc, request);
    expect(ptx).toMatch(/\.file\s+1 ".*reverse\.cu"/);
    expect(ptx).toMatch(/\.loc\s+1 6 /);
  });

  it("compiles for a virtual architecture to PTX alone", () => {
    const module = compileCuda(nvrtc, { ...request, arch: "compute_80" });
    expect(module.cubin.length).toBe(0);
    expect(module.resources).toEqual({});
  });

  it("reports an error with its line", () => {
    const source = KERNEL.replace("tile[31", "tilt[31");
    expect(() => compileCuda(nvrtc, { ...request, source })).toThrow(
      expect.objectContaining({ code: "nvrtc/compile", path: "reverse.cu:6" }) as Error,
    );
  });

  it("maps assembler errors back to the CUDA line", () => {
    const source = `extern "C" __global__ void k() {\n  asm volatile("mma.nonsense;");\n}\n`;
    try {
      compileCuda(nvrtc, { source, name: "bad-asm.cu", arch: "sm_80" });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(CompileError);
      if (!(error instanceof CompileError)) return;
      expect(error.path).toBe("bad-asm.cu:2");
      expect(error.message).toContain("'.nonsense'");
    }
  });

  it("says which architectures it knows when asked for another", () => {
    expect(() => compileCuda(nvrtc, { ...request, arch: "sm_20" })).toThrow(
      expect.objectContaining({ code: "nvrtc/unsupported-arch" }) as Error,
    );
    expect(() => compileCuda(nvrtc, { ...request, arch: "gfx90a" })).toThrow(
      /does not compile for gfx90a/,
    );
  });

  it("refuses an unknown option with NVRTC's own words", () => {
    expect(() => compileCuda(nvrtc, { ...request, options: ["--no-such-option"] })).toThrow(
      /no-such-option/,
    );
  });

  it("serves the second compilation from the cache and tells every input apart", () => {
    const directory = mkdtempSync(join(tmpdir(), "hydrant-compile-"));
    const cache = new KernelCache({ directory });
    const first = compileCuda(nvrtc, request, cache);
    const second = compileCuda(nvrtc, request, cache);
    expect([first.fromCache, second.fromCache]).toEqual([false, true]);
    expect({ ...second, fromCache: false }).toEqual(first);
    for (const other of [
      { ...request, defines: { SCALE: "3" } },
      { ...request, name: "other.cu" },
      { ...request, arch: "sm_90" },
      { ...request, source: `${KERNEL}\n` },
      { ...request, nameExpressions: ["reverse<float>"] },
      { ...request, options: ["--fmad=false"] },
    ]) {
      expect(compileCuda(nvrtc, other, cache).fromCache).toBe(false);
    }
    rmSync(directory, { recursive: true });
  });

  it("survives two processes that compile the same kernel at once", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hydrant-race-"));
    const script = fileURLToPath(new URL("compile-once.ts", import.meta.url));
    const run = () =>
      new Promise<number | null>((resolve) => {
        const child = spawn(
          process.execPath,
          ["--import", "tsx", script, nvrtc.library.path, directory],
          { stdio: "inherit" },
        );
        child.on("exit", resolve);
      });
    expect(await Promise.all([run(), run()])).toEqual([0, 0]);
    expect(readdirSync(directory)).toHaveLength(1);
    rmSync(directory, { recursive: true });
  });
});
