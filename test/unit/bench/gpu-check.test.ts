import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PartContext } from "../../../bench/gpu-check/part.ts";
import { parts } from "../../../bench/gpu-check/parts.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-gpu-check-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The command in a process of its own, on the CPU: what it does on a GPU but for the device. */
const gpuCheck = (...args: string[]) =>
  spawnSync(
    process.execPath,
    ["scripts/run.mjs", "bench/gpu-check/main.ts", "--device", "cpu", ...args],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1", HYDRANT_CUDA_DRIVER: "/nowhere" },
    },
  );
const resultsOf = (file: string) => JSON.parse(readFileSync(file, "utf8"));

describe("the GPU check", () => {
  it("has parts of distinct names that fit in ten minutes", () => {
    expect(new Set(parts.map(({ name }) => name)).size).toBe(parts.length);
    const expected = parts.reduce((sum, { limit }) => sum + limit, 0);
    // A limit is for what hangs; most parts take a third of theirs.
    expect(expected).toBeLessThan(2.1 * 570);
  });

  it("runs parts on their own, writes what they found, and skips finished ones with --resume", () => {
    const out = join(folder, "run.json");
    const first = gpuCheck("--only", "golden", "lossless", "--out", out);
    expect(first.stderr).toBe("");
    expect(first.status).toBe(0);
    const { device, environment, parts: found } = resultsOf(out);
    expect(device).toBe("cpu");
    expect(environment.commit).toMatch(/^[0-9a-f]{12}\+?$/);
    expect(Object.keys(found)).toEqual(["golden", "lossless"]);
    expect(found.lossless).toMatchObject({ status: "passed", failed: [], passed: 1 });
    writeFileSync(out, JSON.stringify({ device, environment, parts: { golden: found.golden } }));
    const second = gpuCheck("--only", "golden", "lossless", "--resume", "--out", out);
    expect(second.stdout).not.toContain("golden");
    expect(Object.keys(resultsOf(out).parts)).toEqual(["golden", "lossless"]);
  });

  it("says of a part that crashes what it printed, and goes on", () => {
    const out = join(folder, "crash.json");
    const { status } = gpuCheck(
      "--device",
      "nowhere",
      "--only",
      "golden",
      "lossless",
      "--out",
      out,
    );
    expect(status).toBe(1);
    const { golden, lossless } = resultsOf(out).parts;
    expect(golden.status).toBe("crashed");
    expect(golden.output).toContain('There is no device "nowhere".');
    expect(lossless.status).toBe("crashed");
  });

  it("does without what a part has found not to work, and says so", () => {
    const out = join(folder, "without.json");
    gpuCheck("--only", "overlap", "loop", "golden", "--out", out);
    const { overlap, loop, golden } = resultsOf(out).parts;
    expect(overlap).toMatchObject({ status: "crashed", notes: {} });
    expect(loop).toMatchObject({ status: "crashed", notes: { HYDRANT_OVERLAP: "off" } });
    expect(golden.notes).toMatchObject({ HYDRANT_OVERLAP: "off", HYDRANT_LOOP: "off" });
  });

  it("begins no part for which no time is left", () => {
    const out = join(folder, "late.json");
    expect(gpuCheck("--only", "golden", "--total", "1", "--out", out).status).toBe(1);
    expect(resultsOf(out).parts.golden.status).toBe("no time");
  });

  it("leaves the benchmark suite's results beside its own", { timeout: 60_000 }, () => {
    const out = join(folder, "suite.json");
    const { status, stdout } = gpuCheck("--only", "bench", "--out", out);
    expect(status, stdout).toBe(0);
    expect(resultsOf(out).parts.bench).toMatchObject({ status: "passed", failed: [], passed: 3 });
    const suite = resultsOf(join(folder, "suite-bench.json"));
    expect(suite.format).toBe("hydrant bench 1");
    expect(suite.entries).toHaveLength(3);
  });

  it("names a part there is not", () => {
    const { status, stderr } = gpuCheck("--only", "gpu");
    expect(status).not.toBe(0);
    expect(stderr).toContain('there is no part "gpu"');
  });
});

describe("a part's report", () => {
  it("has every check, and goes on after one that fails", async () => {
    const file = join(folder, "part.json");
    const part = new PartContext("cuda", file);
    await part.check("good", () => {});
    await part.check("bad", () => {
      throw new RangeError("too far");
    });
    part.skip("odd", "no need");
    part.figure("speed", "ms", [3, 1, 2]);
    expect(part.failures).toBe(1);
    expect(resultsOf(file)).toMatchObject({
      passed: 1,
      failed: [{ name: "bad", message: expect.stringContaining("too far") as string }],
      skipped: [{ name: "odd", reason: "no need" }],
      figures: { speed: { unit: "ms", median: 2, min: 1, max: 3, count: 3 } },
    });
  });
});
