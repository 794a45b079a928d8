import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareResults, judge, leastChange } from "../../../bench/suite/compare.ts";
import { formatComparison, regressions } from "../../../bench/suite/compare-table.ts";
import type { BenchEntry, BenchResults, Figure } from "../../../bench/suite/results.ts";

const ms = (median: number, min = median, max = median): Figure => ({
  unit: "ms",
  better: "lower",
  count: 5,
  median,
  min,
  max,
});
const counted = (value: number, better: Figure["better"] = "lower"): Figure => ({
  unit: "count",
  better,
  count: 1,
  median: value,
  min: value,
  max: value,
});
const entry = (id: string, figures: BenchEntry["figures"], failed = false): BenchEntry => ({
  id,
  suite: "kernels",
  family: "linear",
  name: "down",
  shape: "demo",
  device: "cpu",
  rows: 1,
  figures,
  check: failed
    ? { status: "failed", against: "reference interpreter", error: 1, tolerance: 0 }
    : { status: "passed", against: "reference interpreter", error: 0, tolerance: 0 },
  notes: {},
});
const results = (entries: readonly BenchEntry[], cpu = "one", loadBefore = 0): BenchResults => ({
  format: "hydrant bench 1",
  command: "npm run bench --",
  environment: {
    date: "2026-01-01T00:00:00",
    commit: "0",
    node: "v20",
    system: "linux",
    cpu,
    cores: 2,
    memoryGB: 8,
    loadBefore,
  },
  devices: [{ name: "cpu", details: "1 thread" }],
  loadAfter: 0,
  seconds: 1,
  entries,
});

describe("a measured figure", () => {
  it("is the same where the spreads overlap, however far apart the medians are", () => {
    expect(judge(ms(10, 5, 20), ms(15, 12, 30))).toBe("same");
  });

  it("is the same where it moved by less than the least change that counts", () => {
    expect(judge(ms(100, 99.9, 100.1), ms(102, 101.9, 102.1))).toBe("same");
  });

  it("is worse where a time lies beyond its noise above the old one, and better below", () => {
    expect(judge(ms(10, 9.9, 10.1), ms(11, 10.9, 11.1))).toBe("worse");
    expect(judge(ms(11, 10.9, 11.1), ms(10, 9.9, 10.1))).toBe("better");
  });

  it("goes the other way for rates", () => {
    const rate = (median: number): Figure => ({ ...ms(median), unit: "GB/s", better: "higher" });
    expect(judge(rate(10), rate(20))).toBe("better");
    expect(judge(rate(20), rate(10))).toBe("worse");
  });
});

describe("a counted figure", () => {
  it("has no noise: any change of it is one", () => {
    expect(judge(counted(1_000_000), counted(1_000_001))).toBe("worse");
    expect(judge(counted(1_000_000), counted(999_999))).toBe("better");
    expect(judge(counted(7), counted(7))).toBe("same");
  });

  it("that should stay as it is has changed, in either direction", () => {
    expect(judge(counted(7, "same"), counted(8, "same"))).toBe("changed");
    expect(judge(counted(8, "same"), counted(7, "same"))).toBe("changed");
  });
});

describe("whatever the figures", () => {
  const figures = fc
    .tuple(
      fc.constantFrom("ms", "GB/s", "count", "bytes"),
      fc.constantFrom("lower" as const, "higher" as const, "same" as const),
      fc.array(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.array(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), { minLength: 3, maxLength: 3 }),
    )
    .map(([unit, better, a, b]) => {
      const make = (values: readonly number[]): Figure => {
        const [min = 0, median = 0, max = 0] = values.toSorted((x, y) => x - y);
        return { unit, better, count: 3, min, median, max };
      };
      return { before: make(a), after: make(b) };
    });
  const run = { seed: 5, numRuns: 500 };

  it("nothing is better or worse than itself", () => {
    fc.assert(
      fc.property(figures, ({ before }) => judge(before, before) === "same"),
      run,
    );
  });

  it("what is better one way is worse the other way", () => {
    const other = { better: "worse", worse: "better", same: "same", changed: "changed" } as const;
    fc.assert(
      fc.property(figures, ({ before, after }) => {
        expect(judge(after, before)).toBe(other[judge(before, after)]);
      }),
      run,
    );
  });

  it("a wider spread never makes a measured change of what was none", () => {
    fc.assert(
      fc.property(figures, fc.double({ min: 0, max: 1e9, noNaN: true }), (pair, more) => {
        const { before, after } = pair;
        fc.pre(before.unit === "ms" || before.unit === "GB/s");
        const wide = { ...after, min: after.min - more, max: after.max + more };
        if (judge(before, after) === "same") expect(judge(before, wide)).toBe("same");
      }),
      run,
    );
  });

  it("a measured change that counts is at least the least one", () => {
    fc.assert(
      fc.property(figures, ({ before, after }) => {
        fc.pre(before.unit === "ms" || before.unit === "GB/s");
        if (judge(before, after) === "same") return;
        const apart = Math.abs(after.median - before.median);
        expect(apart / Math.min(before.median, after.median)).toBeGreaterThanOrEqual(leastChange);
      }),
      run,
    );
  });
});

describe("two files", () => {
  const before = results([
    entry("a", { time: ms(10), bandwidth: { ...ms(5), unit: "GB/s", better: "higher" } }),
    entry("b", { time: ms(10) }),
    entry("gone", { time: ms(1) }),
  ]);
  const after = results([
    entry("a", { time: ms(20), bandwidth: { ...ms(2.5), unit: "GB/s", better: "higher" } }),
    entry("b", { time: ms(30) }, true),
    entry("new", { time: ms(1) }),
  ]);
  const comparison = compareResults(before, after);

  it("tell what is in one of them alone, and which checks fail now", () => {
    expect(comparison.onlyBefore).toEqual(["gone"]);
    expect(comparison.onlyAfter).toEqual(["new"]);
    expect(comparison.newlyFailed).toEqual(["b"]);
  });

  it("call out regressions, the worst first, a time and the rates that follow from it once", () => {
    expect(regressions(comparison).map(({ id, figure }) => `${id} ${figure}`)).toEqual([
      "b time",
      "a time",
    ]);
    const text = formatComparison(comparison, "old.json");
    expect(text).toContain("3 REGRESSIONS");
    expect(text).toContain("b: its check fails now");
    expect(text).toMatch(/a: time 10 ms.* → 20 ms.*\+100 %/);
  });

  it("are the same when one is the other", () => {
    const same = compareResults(before, before);
    expect(same.changes.every(({ verdict }) => verdict === "same")).toBe(true);
    expect(formatComparison(same, "old.json")).toContain("No regressions.");
  });

  it("of different or busy machines come with a warning", () => {
    const elsewhere = compareResults(before, results([], "another", 1.9));
    expect(elsewhere.warnings).toHaveLength(2);
    expect(elsewhere.warnings[0]).toContain("another processor: one before, another now");
    expect(elsewhere.warnings[1]).toContain("busy now (load 1.9)");
  });
});
