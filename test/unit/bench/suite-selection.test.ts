import { describe, expect, it } from "vitest";
import { benchSuites } from "../../../bench/suite/results.ts";
import { planSuite, plannedKeys, type SuiteOptions } from "../../../bench/suite/run-suite.ts";
import { suitesNamed } from "../../../bench/suite/selection.ts";
import { shapeNames } from "../../../src/models/named-shapes.ts";

const planned = (options: Partial<SuiteOptions> = {}) =>
  plannedKeys(
    planSuite({
      suites: benchSuites,
      devices: ["cpu", "emulator", "cuda"].map((name) => ({ name, suites: benchSuites })),
      isQuick: false,
      checks: true,
      rounds: 1,
      ...options,
    }),
  );

describe("the plan of the suite", () => {
  it("has an id of its own for every entry of every device, shape and suite", () => {
    const ids = planned({ shapes: shapeNames }).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain("kernels/linear/gate_up/vicuna-7b/8@cpu");
    expect(ids.every((id) => !/\s/.test(id))).toBe(true);
  });

  it("names the first GPU alike, asked for by number or not", () => {
    const of = (name: string) => planned({ devices: [{ name, suites: benchSuites }] });
    expect(of("cuda")).toEqual(of("cuda:0"));
  });

  it("measures less when it must be quick, and nothing else", () => {
    const options = { suites: ["kernels", "decode"] as const };
    const all = new Set(planned(options).map(({ id }) => id));
    const quick = planned({ ...options, isQuick: true }).map(({ id }) => id);
    expect(quick.length).toBeLessThan(all.size);
    expect(quick.filter((id) => !all.has(id))).toEqual([]);
  });

  it("has the rows and shapes that are asked for, and no part of a prompt then", () => {
    const keys = planned({ suites: ["kernels"], rows: [3], shapes: ["llama-3.1-8b"] });
    expect(new Set(keys.map(({ rows }) => rows))).toEqual(new Set([3]));
    expect(new Set(keys.map(({ shape }) => shape))).toEqual(new Set(["llama-3.1-8b"]));
  });

  it("finds products as gemm, gemv and matmul, norms as norm, and any word of an id", () => {
    const families = (filter: string) => [
      ...new Set(planned({ filter, suites: ["kernels"] }).map(({ family }) => family)),
    ];
    for (const word of ["gemm", "gemv", "matmul", "Linear"])
      expect(families(word)).toEqual(["linear"]);
    expect(families("norm")).toEqual(["rms-norm"]);
    expect(families("attn,topk").sort()).toEqual(["attention", "linear", "topk"]);
    expect(planned({ filter: "gate_up/demo/8@cpu" }).map(({ id }) => id)).toEqual([
      "kernels/linear/gate_up/demo/8@cpu",
    ]);
    expect(planned({ filter: "no such word" })).toEqual([]);
  });

  it("leaves a device's suites out that it was not chosen for", () => {
    const keys = planned({ devices: [{ name: "emulator", suites: ["kernels"] }] });
    expect(new Set(keys.map(({ suite }) => suite))).toEqual(new Set(["kernels"]));
  });

  it("refuses names it does not know, and says which there are", () => {
    expect(() => suitesNamed(["kernel"])).toThrow('There is no suite "kernel".');
    expect(() => planned({ shapes: ["vicuna"] })).toThrow('no model shape named "vicuna"');
    expect(() => planned({ devices: [{ name: "gpu", suites: benchSuites }] })).toThrow(
      'There is no device "gpu" to measure.',
    );
  });
});
