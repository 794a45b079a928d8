import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readResultFile } from "../../../bench/report/result-file.ts";
import type { BenchResults } from "../../../bench/suite/results.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-bench-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, ["scripts/run.mjs", "bench/main.ts", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
const few = ["--device", "cpu", "--filter", "norm", "--rows", "1,8", "--shapes", "demo"];

describe("npm run bench", () => {
  it("measures, checks, writes results and tells what changed", { timeout: 90_000 }, () => {
    const file = join(folder, "now.json");
    const first = bench(...few, "--suite", "kernels", "--rounds", "2", "--json", file);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toContain("2 entries, 2 checked and right.");
    expect(first.stderr).toMatch(/1\/2 .*kernels\/rms-norm\/final\/demo\/1@cpu/);
    const read = readResultFile(file);
    if (read.kind !== "suite") throw new Error("the suite writes results of the suite");
    const { results } = read;
    expect(results.command).toContain("npm run bench -- --device cpu --filter norm");
    expect(results.devices).toEqual([
      { name: "cpu", details: expect.stringContaining("kernels on 1 thread") as string },
    ]);
    expect(results.entries.map(({ id }) => id)).toEqual([
      "kernels/rms-norm/final/demo/1@cpu",
      "kernels/rms-norm/final/demo/8@cpu",
    ]);
    expect(results.entries[0]?.figures.time).toMatchObject({ unit: "ms", count: 2 });

    // A file from a machine a thousand times as fast.
    const old = join(folder, "old.json");
    writeFileSync(old, JSON.stringify(faster(results)));
    const compared = [...few, "--suite", "kernels", "--rounds", "2", "--compare", old];
    const second = bench(...compared, "--fail-on-regression");
    expect(second.status).toBe(1);
    expect(second.stdout).toContain("against old.json");
    expect(second.stdout).toContain("2 REGRESSIONS:");
  });

  it("lists what it would measure, and measures nothing", { timeout: 60_000 }, () => {
    const { status, stdout } = bench(...few, "--list");
    expect(status).toBe(0);
    expect(stdout.trim().split("\n")).toEqual([
      "kernels/rms-norm/final/demo/1@cpu",
      "kernels/rms-norm/final/demo/8@cpu",
    ]);
  });

  it("says what is wrong with what it was asked", { timeout: 60_000 }, () => {
    const unknown = bench("--suite", "kernel");
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toContain('bench: There is no suite "kernel". There are kernels');
    const nothing = bench("--device", "cpu", "--filter", "nothing of this name");
    expect(nothing.stderr).toContain("bench: No entry is of these suites, devices and filters.");
    const missing = bench("--compare", join(folder, "nowhere.json"));
    expect(missing.stderr).toContain("nowhere.json");
    expect(missing.status).toBe(1);
  });
});

function faster(results: BenchResults): BenchResults {
  return JSON.parse(readFileSync(join(folder, "now.json"), "utf8"), (key, value: unknown) =>
    ["median", "min", "max"].includes(key) && typeof value === "number" ? value / 1000 : value,
  ) as typeof results;
}
