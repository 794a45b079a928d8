import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { comparisonChart } from "../../../../bench/report/charts/comparison.ts";
import { compareFiles } from "../../../../bench/report/data-comparison.ts";
import { formatNumber, formatRate, formatSpread } from "../../../../bench/report/format.ts";
import { reportOf } from "../../../../bench/report/report.ts";
import { parseResults } from "../../../../bench/report/result-file.ts";
import { filterRows, sortRows } from "../../../../bench/report/tables/table.ts";
import { madeCheck, madeSuite } from "./made-results.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "hydrant-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const old = parseResults(JSON.stringify(madeSuite()), "old.json");
const fresh = parseResults(JSON.stringify(madeSuite(2, 1.25)), "new.json");

describe("comparing files", () => {
  it("finds what got faster, whichever way its figure counts", () => {
    const changes = compareFiles(old, fresh);
    const of = (name: string) =>
      changes.find(
        ({ id, name: one }) => id === "kernels/linear/lm_head/vicuna-7b/8@cuda:0" && one === name,
      );
    for (const name of ["time", "bandwidth", "rate"]) {
      expect(of(name)?.verdict).toBe("better");
      expect(of(name)?.progress.median).toBeGreaterThan(1.15);
      expect(of(name)?.progress.median).toBeLessThan(1.35);
    }
  });

  it("calls the same files the same", () => {
    const changes = compareFiles(old, old);
    expect(changes.length).toBeGreaterThan(100);
    expect(new Set(changes.map(({ verdict }) => verdict))).toEqual(new Set(["same"]));
    expect(comparisonChart(old, old)).toEqual([]);
  });

  it("turns round when the files do", () => {
    const there = compareFiles(old, fresh);
    const back = new Map(
      compareFiles(fresh, old).map((change) => [`${change.id} ${change.name}`, change]),
    );
    for (const { id, name, progress } of there) {
      const other = back.get(`${id} ${name}`);
      expect(progress.median * (other?.progress.median ?? 0)).toBeCloseTo(1, 9);
      expect(progress.min * (other?.progress.max ?? 0)).toBeCloseTo(1, 9);
    }
  });

  it("has a section of its own, before the files", () => {
    expect(reportOf([old, fresh]).map(({ title }) => title)).toEqual([
      "new against old",
      "old",
      "new",
    ]);
    const check = parseResults(JSON.stringify(madeCheck()), "check.json");
    expect(reportOf([old, check]).map(({ title }) => title)).toEqual(["old", "check"]);
  });
});

describe("the report", () => {
  it("says which results are wrong", () => {
    const made = madeSuite();
    const failed = {
      status: "failed",
      against: "plain decoding",
      error: 1,
      tolerance: 0,
    };
    const entries = made.entries.map((entry, index) =>
      index === 3 ? { ...entry, check: failed } : entry,
    );
    const [section] = reportOf([parseResults(JSON.stringify({ ...made, entries }), "x.json")]);
    expect(section?.problems).toEqual([`${entries[3]?.id} differs from plain decoding.`]);
    expect(section?.conditions).toContainEqual({ name: "checks", value: "48 passed, 1 failed" });
    expect(reportOf([old])[0]?.problems).toEqual([]);
  });

  it("sorts by numbers where there are some, with empty cells at the end", () => {
    const rows = [[{ text: "10", value: 10 }], [{ text: "" }], [{ text: "9", value: 9 }]];
    expect(
      sortRows(rows, 0, "up")
        .flat()
        .map(({ text }) => text),
    ).toEqual(["9", "10", ""]);
    expect(
      sortRows(rows, 0, "down")
        .flat()
        .map(({ text }) => text),
    ).toEqual(["10", "9", ""]);
    expect(filterRows([[{ text: "Gate_Up" }], [{ text: "down" }]], " gate").length).toBe(1);
  });

  it("writes numbers as people read them", () => {
    expect([3888.2, 64, 0.2471, 13.84, Number.NaN].map(formatNumber)).toEqual([
      "3,888",
      "64",
      "0.247",
      "13.8",
      "–",
    ]);
    expect(formatSpread({ median: 2, min: 1.5, max: 3 })).toBe("2 (1.50 to 3)");
    expect(formatSpread({ median: 7, min: 7, max: 7 })).toBe("7");
    expect(formatRate(7.4e14)).toBe("740 T");
  });
});

describe("bench report", () => {
  const run = promisify(execFile);
  const bench = (...args: string[]) =>
    run(process.execPath, ["scripts/run.mjs", "bench/main.ts", "report", ...args], { cwd: root });

  it("prints tables, and writes a page and pictures", async () => {
    const decode = "bench/results/decode-cpu-2-cores.json";
    const check = join(folder, "check.json");
    writeFileSync(check, JSON.stringify(madeCheck()));
    const { stdout } = await bench(decode, check);
    expect(stdout).toContain("hydra-plus-plus, mc_sim_7b_63");
    expect(stdout).toContain("FAILED softmax <rows>: Error: 0.1 is not 0.2");
    const html = join(folder, "page.html");
    const pictures = join(folder, "pictures");
    await bench(decode, "--html", html, "--svg", pictures);
    expect(readFileSync(html, "utf8")).toContain("<title>decode-cpu-2-cores");
    expect(readdirSync(pictures).sort()).toEqual(
      ["rates", "speed-by-acceptance", "step-cost"].flatMap((name) =>
        ["dark", "light"].map((scheme) => `decode-cpu-2-cores-${name}-${scheme}.svg`),
      ),
    );
  }, 60_000);

  it("says which file is none of ours", async () => {
    await expect(bench("package.json")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("bench: package.json: This JSON is no results file"),
    });
  }, 60_000);
});
