import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { compareBuffer } from "../../src/api/workbench/compare-buffers.ts";
import { readKernelFolder } from "../../src/api/workbench/kernel-folder.ts";
import { compileFolder } from "../../src/api/workbench/kernel-image.ts";
import { launchValues } from "../../src/api/workbench/launch-values.ts";
import { compareOn } from "../../src/api/workbench/run-gpu.ts";
import { compareKernel, saveInspection } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { hydra } from "../helpers/cli.ts";

const hasNvrtc = installedNvrtc().length > 0;
let root = "";
/** A folder of `inspect --out` with the norms of the bundled model. */
let saved = "";
let norm = "";

if (!hasNvrtc) describe.skip(NO_NVRTC, () => it("compares kernels", () => {}));

/** A copy of a kernel's folder with one place of its `kernel.cu` changed. */
function edited(name: string, from: string, to: string): string {
  const folder = join(root, name);
  cpSync(norm, folder, { recursive: true });
  const text = readFileSync(join(folder, "reference.cu"), "utf8");
  expect(text.split(from)).toHaveLength(2);
  writeFileSync(join(folder, "kernel.cu"), text.replace(from, to));
  return folder;
}

/** From 1. */
function lineOf(folder: string, text: string): number {
  const lines = readFileSync(join(folder, "kernel.cu"), "utf8").split("\n");
  return 1 + lines.findIndex((line) => line.includes(text));
}

describe.skipIf(!hasNvrtc)("hydra kernel run of a kernel's folder, on the emulator", () => {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "hydrant-workbench-"));
    saved = join(root, "saved");
    const { kernels } = await saveInspection(saved, {
      model: "demo/model/base",
      heads: "demo/model/heads/hydra",
      arch: "sm_80",
      kernel: "rms_norm",
      sass: "no",
    });
    norm = join(saved, kernels.find(({ family }) => family === "rms-norm")?.entry ?? "");
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it("finds a kernel nobody has edited the same, with figures of both", async () => {
    const comparison = await compareKernel({ folder: norm });
    expect(comparison.verdict).toBe("same");
    expect(comparison.results?.map(({ dtype, differing }) => [dtype, differing])).toEqual([
      ["f32", 0],
      ["bf16", 0],
    ]);
    expect(comparison.edited.registers).toBeGreaterThan(8);
    expect(comparison.edited.counters?.globalBytesRead).toBeGreaterThan(1000);
  });

  it("reports another order of multiplication: how many elements differ, and by how much", async () => {
    const folder = edited(
      "rounding",
      "values[step][i] * scale * to_float(weights[step][i])",
      "values[step][i] * (scale * to_float(weights[step][i]))",
    );
    const comparison = await compareKernel({ folder });
    expect(comparison.verdict).toBe("different");
    const [first] = comparison.results ?? [];
    expect(first?.differing).toBeGreaterThan(0);
    expect(first?.relative).toBeGreaterThan(0);
    expect(first?.relative).toBeLessThan(1e-5);
    expect((await compareKernel({ folder, tolerance: 0.01 })).verdict).toBe("within");
  });

  it("reports a read out of bounds at its line, and exits with 3", async () => {
    const folder = edited(
      "out-of-bounds",
      "(x + row + vector * kVector)",
      "(x + row + (vector + kVectors) * kVector)",
    );
    const { code, stdout } = await hydra(["kernel", "run", folder]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/kernel\.cu:\d+: out-of-bounds: reads 16 bytes .* past the end/);
    // The load itself is a function of the prelude.
    expect(stdout).toContain(`inlined at ${folder}/kernel.cu:${lineOf(folder, "+ kVectors)")})`);
    expect(stdout).toContain("kernel.cu: 1 finding");
  });

  it("shows the line of a syntax error and exits with 1", async () => {
    const folder = edited("syntax", "const float scale = ", "const floatt scale = ");
    const { code, stdout, stderr } = await hydra(["kernel", "run", folder]);
    expect([code, stdout]).toEqual([1, ""]);
    const line = lineOf(folder, "floatt");
    expect(stderr).toContain(`hydra: ${folder}/kernel.cu:${line}: The kernel does not compile`);
    expect(stderr).toMatch(new RegExp(`> +${line} \\|.*floatt`));
  });

  it("launches an edited kernel with a grid of its own", async () => {
    const folder = edited("half", "blockIdx.x) * kWidth;", "2 * blockIdx.x) * kWidth;");
    const {
      verdict,
      results,
      edited: half,
    } = await compareKernel({ folder, shape: { grid: [32, 1, 1] } });
    expect([verdict, half.shape.grid]).toEqual(["different", [32, 1, 1]]);
    expect(results?.map(({ elements, differing }) => differing / elements)).toEqual([0.5, 0.5]);
  });

  it("shows results that are missing", async () => {
    const folder = edited(
      "missing",
      "if (vector >= kVectors) continue;\n#pragma unroll",
      "continue;",
    );
    const comparison = await compareKernel({ folder });
    expect(comparison.verdict).toBe("different");
    expect(comparison.results?.[0]?.relative).toBe(Number.POSITIVE_INFINITY);
  });

  it("prints one JSON object, exits with 0, and compares nothing when not all blocks run", async () => {
    const { code, stdout } = await hydra(["kernel", "run", norm, "--json", "--blocks", "1"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: "not compared",
      edited: { shape: { grid: [1, 1, 1] } },
      launch: { number: 1, of: 1, grid: [64, 1, 1] },
    });
  });

  it("says which kernels there are when it is given the folder of all, and exits with 1", async () => {
    const { code, stderr } = await hydra(["kernel", "run", saved]);
    expect(code).toBe(1);
    expect(stderr).toContain("This is not the folder of one kernel. Give one of the 1 in it:");
  });

  it("refuses flags of the other kind of target with 2", async () => {
    const { code, stderr } = await hydra(["kernel", "run", norm, "--entry", "f"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("--entry goes with a file")]);
  });

  it("measures on a GPU in turns, every round over memories of their own", async () => {
    const folder = await readKernelFolder(norm);
    const { spec } = folder;
    const [launch] = spec.launches;
    if (launch === undefined) throw new Error("the kernel is launched");
    const values = launchValues(spec, launch, { context: 10, temperature: 0, seed: 0 });
    const { grid } = launch;
    const shape = { grid, threads: spec.threads, dynamicSharedBytes: spec.dynamicSharedBytes };
    const images = compileFolder(openNvrtc(), folder, { edited: shape, reference: shape });
    const driver = await openDriver("emulator", { computeCapability: "8.0" });
    const device = driver.deviceGet(0);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    const { after, times } = compareOn(driver, device, spec, launch, values, images, 2);
    expect(times).toMatchObject({ rounds: 2, launches: 32 });
    expect(times.edited.least).toBeGreaterThan(0);
    expect(times.edited.most).toBeGreaterThanOrEqual(times.edited.median);
    for (const [id, bytes] of after.reference.buffers) {
      const same = after.edited.buffers.get(id) ?? new Uint8Array(0);
      const about = { name: "", label: "", dtype: "f32" } as const;
      expect(compareBuffer(about, same, bytes).differing).toBe(0);
    }
    driver.close();
    expect(driver.findings()).toEqual([]);
    // Once each for the results; warm-up and rounds for the time.
    expect(driver.counters().launches).toBe(2 + 2 * (3 + 2) * 32);
  });
});
