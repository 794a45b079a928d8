import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { compileStages } from "../../codegen/compile.ts";
import { compileAll } from "../../runtime/nvrtc/compile-all.ts";
import { kernelOptions } from "../../runtime/nvrtc/kernel-options.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { findDisassembler } from "../../src/api/inspect/disassemble.ts";
import { linkPtx } from "../../src/api/inspect/ptx-lines.ts";
import { describeSubject } from "../../src/api/inspect/subject.ts";
import { inspect, inspectProgram, saveInspection } from "../../src/index.ts";
import { elfSection } from "../helpers/elf.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const run = promisify(execFile);
/** The compiler `inspect` uses is the newest. */
const newest = installedNvrtc().sort((a, b) => b.nvrtc.version.major - a.nvrtc.version.major)[0];
const hasGcc = await run("gcc", ["--version"]).then(
  () => true,
  () => false,
);
const disassembler = await findDisassembler().catch(() => undefined);

/** Every family of kernels, and few of each. */
const small = { shape: "demo", heads: "hydra", tree: "single", arch: "sm_90" } as const;
/** All kernels of the largest configuration take a minute (`HYDRANT_COMPILE_ALL=1`). */
const outside =
  process.env.HYDRANT_COMPILE_ALL === "1" ? { shape: "vicuna-7b", arch: "sm_90" } : small;

const home = mkdtempSync(join(tmpdir(), "hydrant-inspect-"));
afterAll(() => rmSync(home, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

describe.skipIf(newest === undefined)(`compiled kernels (${NO_NVRTC})`, () => {
  it("have PTX, resources, occupancy and lines in the CUDA they are from", async () => {
    const { nvrtc, kernels } = await inspectProgram({ ...small, kernel: "rms-norm", sass: "no" });
    expect(nvrtc).toBe(`${newest?.nvrtc.version.major}.${newest?.nvrtc.version.minor}`);
    const compiled = kernels.filter((kernel) => kernel.compiled !== undefined);
    expect(compiled.map(({ family }) => family)).toEqual(["rms-norm"]);
    const [kernel] = compiled;
    const { cuda = "", compiled: code, threads = 0 } = kernel ?? {};
    if (code === undefined) return;
    expect(code.registers).toBeGreaterThan(8);
    expect(code.spillBytes).toBe(0);
    expect(code.occupancy.fraction).toBeGreaterThan(0);
    expect(code.occupancy.blocksPerMultiprocessor * threads).toBeLessThanOrEqual(2048);
    expect(code.log).toContain("registers");
    const ptx = code.ptx.split("\n");
    const source = cuda.split("\n");
    // The reciprocal square root of the norm comes from the one line that has it.
    const at = ptx.findIndex((line) => /rsqrt\.approx/.test(line));
    expect(at).toBeGreaterThan(0);
    expect(source[(code.ptxLines[at] ?? 0) - 1]).toContain("rsqrt");
    for (const line of code.ptxLines) expect(line).toBeLessThanOrEqual(source.length);
    expect(code.ptxLines.filter((line) => line > 0).length).toBeGreaterThan(50);
  });

  it("are written with what the compiler made of them", async () => {
    const directory = join(home, "saved");
    await saveInspection(directory, { ...small, kernel: "embedding", sass: "no" });
    const { kernels } = JSON.parse(readFileSync(join(directory, "inspection.json"), "utf8"));
    const { entry } = kernels.find(({ family }: { family: string }) => family === "embedding");
    const read = (file: string) => readFileSync(join(directory, entry, file), "utf8");
    expect(JSON.parse(read("resources.json"))).toMatchObject({ spillBytes: 0 });
    expect(read("kernel.ptx")).toContain(`.entry ${entry}`);
    expect(read("nvrtc.log")).toContain(entry);
  });

  it("say what they take in the specs, and why not for an older compiler", async () => {
    const specs = await inspect({ ...small, stage: "specs", kernel: "embedding" });
    expect(specs).toMatch(/\d+ registers, 0 B spilled, .*of 64 warps, limited by/);
    vi.stubEnv("HYDRANT_NVRTC", "/nowhere");
    const without = await inspect({ ...small, stage: "specs", kernel: "embedding" });
    expect(without).toMatch(/not compiled: .*HYDRANT_NVRTC leads to no libnvrtc/);
    expect(without).toContain("embedding_");
    await expect(inspect({ ...small, stage: "ptx" })).rejects.toMatchObject({
      code: "nvrtc/not-found",
    });
  });

  it.skipIf(!hasGcc)(
    "come out the same from their printed text and libnvrtc alone (skipped without gcc)",
    { timeout: 300_000 },
    async () => {
      if (newest === undefined) return;
      const { library } = newest.nvrtc;
      const tool = join(home, "bare-nvrtc");
      const source = fileURLToPath(new URL("bare-nvrtc.c", import.meta.url));
      await run("gcc", ["-O1", "-o", tool, source, "-ldl"]);
      const { graph, dims, target } = await describeSubject(outside);
      const { kernels } = compileStages(graph, dims, target).program;
      const ours = await compileAll(
        newest.nvrtc,
        kernels.map(({ entry, source: text }) => ({
          source: text,
          name: `${entry}.cu`,
          arch: target.arch,
          headers: cudaHeaders(text),
          options: kernelOptions,
        })),
      );
      const all = await inspect({ ...outside, stage: "cuda" });
      const files = all.split(/^(?=\/\/ ==== )/m);
      expect(files).toHaveLength(kernels.length);
      const queue = kernels.entries();
      const different: string[] = [];
      const worker = async (): Promise<void> => {
        for (const [index, { entry }] of queue) {
          const text = files[index] ?? "";
          const file = join(home, `${entry}.cu`);
          writeFileSync(file, text);
          const options = /^\/\/ NVRTC: (.*)$/m.exec(text)?.[1]?.split(" ") ?? [];
          await run(tool, [library.path, library.builtins ?? "", file, ...options]);
          const [ptx, cubin] = [readFileSync(`${file}.ptx`, "utf8"), readFileSync(`${file}.cubin`)];
          const own = ours[index];
          const code = (elf: Uint8Array) => Buffer.from(elfSection(elf, `.text.${entry}`) ?? []);
          const same =
            own !== undefined &&
            linkPtx(ptx).text === linkPtx(own.ptx).text &&
            code(cubin).length > 0 &&
            code(cubin).equals(code(own.cubin));
          if (!same) different.push(entry);
        }
      };
      await Promise.all([worker(), worker()]);
      expect(different).toEqual([]);
    },
  );

  it.skipIf(disassembler === undefined)(
    "have machine code with lines (skipped without nvdisasm)",
    async () => {
      const { kernels } = await inspectProgram({
        ...small,
        kernel: "rms-norm",
        compile: "required",
        sass: "required",
      });
      const kernel = kernels.find(({ family }) => family === "rms-norm");
      const { sass = "", sassLines = [] } = kernel?.compiled ?? {};
      const rows = sass.split("\n");
      expect(rows[0]).toBe(`${kernel?.entry}:`);
      const at = rows.findIndex((row) => row.includes("MUFU.RSQ"));
      expect(at).toBeGreaterThan(0);
      expect(kernel?.cuda.split("\n")[(sassLines[at] ?? 0) - 1]).toContain("rsqrt");
      const text = await inspect({ ...small, stage: "sass", kernel: "rms-norm" });
      expect(text).toContain(sass);
    },
  );

  it("without nvdisasm say how to get one", async () => {
    vi.stubEnv("HYDRANT_NVDISASM", "/nowhere/nvdisasm");
    const options = { ...small, kernel: "finish" } as const;
    await expect(inspect({ ...options, stage: "sass" })).rejects.toMatchObject({
      code: "inspect/disassembler",
      hint: expect.stringContaining("nvidia-cuda-nvdisasm"),
    });
    const { noSass, kernels } = await inspectProgram(options);
    expect(noSass).toContain("HYDRANT_NVDISASM");
    expect(kernels.some(({ compiled }) => compiled !== undefined)).toBe(true);
  });
});
