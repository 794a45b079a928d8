import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { chartsOf } from "../../../../bench/report/charts-of.ts";
import { isoTimes } from "../../../../bench/report/charts/speed-by-acceptance.ts";
import { shareOfRoof } from "../../../../bench/report/charts/roofline.ts";
import { logBounds, tip } from "../../../../bench/report/chart.ts";
import { barsOf } from "../../../../bench/report/data-breakdown.ts";
import { decodingGroups } from "../../../../bench/report/data-decoding.ts";
import { ceilingsOf, groupsOf, rooflinePoints } from "../../../../bench/report/data-kernels.ts";
import { coloursOf, darkPalette, lightPalette } from "../../../../bench/report/palette.ts";
import { renderSvg, wrap } from "../../../../bench/report/render-svg.ts";
import { parseResults, type ResultFile } from "../../../../bench/report/result-file.ts";
import { reportOf } from "../../../../bench/report/report.ts";
import { madeCheck, madeSuite } from "./made-results.ts";

const decodePath = fileURLToPath(
  new URL("../../../../bench/results/decode-cpu-2-cores.json", import.meta.url),
);
const decode = parseResults(readFileSync(decodePath, "utf8"), decodePath);
const suite = parseResults(JSON.stringify(madeSuite()), "made.json");
const check = parseResults(JSON.stringify(madeCheck()), "check.json");

function changed(change: (made: ReturnType<typeof madeSuite>) => object): ResultFile {
  return parseResults(JSON.stringify({ ...madeSuite(), ...change(madeSuite()) }), "changed.json");
}

describe("the charts of a file", () => {
  it("are those it has data for, and no others", () => {
    expect(chartsOf(decode).map(({ name }) => name)).toEqual([
      "speed-by-acceptance",
      "rates",
      "step-cost",
    ]);
    expect(chartsOf(check).map(({ name }) => name)).toEqual([
      "step-phases-vicuna-7b",
      "step-breakdown-vicuna-7b",
    ]);
    expect(chartsOf(changed(() => ({ entries: [], prompts: undefined })))).toEqual([]);
  });

  it("cover prompts, decoding, steps, kernels and instructions", () => {
    expect(chartsOf(suite).map(({ name }) => name)).toEqual([
      "categories",
      "speedup",
      "acceptance",
      "survival",
      "tree-sweep",
      "speed-by-acceptance-vicuna-7b-cuda-0",
      "rates-vicuna-7b-cuda-0",
      "step-cost-vicuna-7b-cuda-0",
      "step-breakdown-vicuna-7b-cuda-0",
      "roofline-vicuna-7b-cuda-0",
      "kernel-cost-vicuna-7b-cuda-0",
      "kernels-instructions-demo-emulator",
    ]);
  });

  it("say what the figures were measured with", () => {
    const { cpu, cores, commit, date } = decode.results.environment;
    for (const { caption } of chartsOf(decode)) {
      expect(caption).toContain(`${cpu}, ${cores} cores`);
      expect(caption).toContain(`; commit ${commit}, ${date.slice(0, 10)}.`);
      expect(caption).toContain("demo/model/base on cpu");
    }
  });

  it("say when the machine was busy", () => {
    const busy = changed(({ environment }) => ({ environment: { ...environment, loadBefore: 9 } }));
    expect(chartsOf(busy)[0]?.caption).toContain(
      "8 cores, busy with other work (load 9.0); commit",
    );
    expect(chartsOf(suite)[0]?.caption).toContain("8 cores; commit");
  });

  it("have no tree sweep where heads were not measured", () => {
    const plain = changed(({ prompts }) => ({
      prompts: { ...prompts, methods: prompts?.methods.slice(0, 1) },
    }));
    expect(chartsOf(plain).map(({ name }) => name)).not.toContain("tree-sweep");
    expect(chartsOf(plain).map(({ name }) => name)).not.toContain("acceptance");
  });

  it("can be drawn where figures are missing", () => {
    const none = { median: null, min: null, max: null };
    const broken = changed(({ entries }) => ({
      entries: entries.map((entry) => ({
        ...entry,
        figures: Object.fromEntries(
          Object.entries(entry.figures).map(([name, figure]) => [name, { ...figure, ...none }]),
        ),
      })),
    }));
    for (const chart of chartsOf(broken)) {
      expect(renderSvg(chart, lightPalette)).not.toContain("NaN");
    }
  });
});

describe("what the charts show", () => {
  it("names decoding by method and tree, and tells auto from fixed trees", () => {
    const [group] = decodingGroups(decode);
    const find = (name: string) => group?.rows.find((row) => row.name === name);
    expect(find("hydra, auto")).toMatchObject({ method: "hydra", policy: "auto" });
    expect(find("medusa, mc_sim_7b_63")).toMatchObject({ method: "medusa", policy: "fixed" });
    expect(find("plain, 2 threads")).toMatchObject({ method: "plain", policy: "none" });
    expect(find("node-llama-cpp, f16, 1 thread")).toMatchObject({ method: "peers" });
    const measured = decode.kind === "decode" ? decode.results.measured : [];
    expect(find("hydra, auto")?.tokensPerSecond).toEqual(
      measured.find(({ name }) => name === "hydra, auto")?.tokensPerSecond,
    );
  });

  it("has iso-lines of round times around every step", () => {
    const row = (tokensPerStep: number, median: number) => ({
      tokensPerStep,
      tokensPerSecond: { median },
    });
    // 0.25 ms and 14.8 ms a step.
    expect(isoTimes([row(1, 4000), row(4, 270)])).toEqual([0.2, 0.5, 1, 2, 5, 10, 20]);
  });

  it("puts kernels under the roof by operations for a byte", () => {
    if (suite.kind !== "suite") throw new Error("it is one of the suite");
    const [group] = groupsOf(suite.results, "kernels");
    if (group === undefined) throw new Error("there are kernels");
    const points = rooflinePoints(group.entries);
    const ceilings = ceilingsOf(group.device, points);
    expect(ceilings).toMatchObject({ bandwidth: 4.1e12, bandwidthSource: "measured copy" });
    const one = points.find(({ name, rows }) => name === "gate_up" && rows === 1);
    // A product with one row does two operations for each weight of two bytes.
    expect(one?.intensity).toBeCloseTo(1, 2);
    for (const point of points) {
      const share = shareOfRoof(point, ceilings);
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
    }
  });

  it("takes published peaks of a chip that was not measured, else the best kernel", () => {
    const points = [
      { name: "", family: "", rows: 1, intensity: 2, rate: 8, leastRate: 8, mostRate: 8, ms: 1 },
    ];
    const of = (details: string) => ceilingsOf({ name: "cuda", details }, points);
    expect(of("NVIDIA H200, driver 1")).toMatchObject({ bandwidth: 4.8e12, rate: 989e12 });
    expect(of("NVIDIA A100-SXM4-80GB")).toMatchObject({ rateSource: "as published" });
    expect(of("2 threads")).toMatchObject({
      bandwidth: 4,
      rate: 8,
      rateSource: "best of these kernels",
    });
  });

  it("makes bars of figures with a colon", () => {
    if (suite.kind !== "suite") throw new Error("it is one of the suite");
    const [group] = groupsOf(suite.results, "steps");
    if (group === undefined) throw new Error("there are steps");
    const bars = barsOf(group, "time");
    expect(bars.map(({ name }) => name)).toContain("hydra++ context 512, 64 rows");
    for (const { total, parts } of bars) {
      expect(parts.map(({ name }) => name)).toContain("attention");
      expect(parts.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(total, 9);
    }
  });

  it("gives a method the same colour in every chart", () => {
    const two = coloursOf(["plain", "hydra"], lightPalette);
    const many = coloursOf(["something", "hydra", "medusa", "else"], lightPalette);
    expect(many("hydra")).toBe(two("hydra"));
    expect(new Set(["something", "hydra", "medusa", "else"].map(many)).size).toBe(4);
  });

  it("bounds logarithmic axes by 1, 2, 5 times a power of ten", () => {
    expect(logBounds(0.21, 19)).toEqual([0.2, 20]);
    expect(logBounds(1, 1000)).toEqual([1, 1000]);
    expect(logBounds(3e-4, 6)).toEqual([2e-4, 10]);
  });

  it("shows names from files as text, not markup", () => {
    expect(tip("<img src=x>", "a & b")).toBe("<b>&lt;img src=x&gt;</b><br>a &amp; b");
  });
});

describe("pictures", () => {
  const pictures = (files: readonly ResultFile[], palette = lightPalette) =>
    reportOf(files).flatMap(({ charts }) => charts.map((chart) => renderSvg(chart, palette)));

  it("are the same bytes for the same results", () => {
    expect(pictures([suite, decode, check])).toEqual(pictures([suite, decode, check]));
  });

  it("have no scripts, styles for pointers, numbers that are none, or anything from outside", () => {
    for (const svg of pictures([suite, decode], darkPalette)) {
      expect(svg).not.toMatch(/<script|<style|javascript:|href=|url\((?!#)|NaN|undefined/);
      expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="860"/);
    }
  });

  it("escape what files say", () => {
    const [chart] = chartsOf(
      changed(({ prompts }) => ({ prompts: { ...prompts, file: "<b>&.jsonl" } })),
    );
    if (chart === undefined) throw new Error("there is a chart");
    expect(renderSvg(chart, lightPalette)).toContain("&lt;b&gt;&amp;.jsonl");
  });

  it("break captions at spaces and keep every word", () => {
    const text = "a caption of several words, none of which gets lost";
    const lines = wrap(text, 17);
    expect(lines.join(" ")).toBe(text);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(17);
    expect(wrap("", 10)).toEqual([""]);
  });
});
