import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { configName, linearCandidates, tuningKey } from "../../kernels/linear/candidates.ts";
import type { Target } from "../../src/ir/program.ts";
import { KernelLab } from "../helpers/kernel-lab.ts";
import {
  dot,
  type LinearCase,
  linearCase,
  operands,
  runStoring,
  storing,
  target,
} from "./linear-case.ts";

const missing = installedNvrtc().length === 0;
const hasBulkCopies = installedNvrtc().some(({ nvrtc }) => nvrtc.version.major >= 12);

/** Sums of f32 products in any order: the error is within this share of the products' magnitudes. */
const tolerance = 4e-6;

function expectClose(given: LinearCase, rows: number, results: readonly Float32Array[]): void {
  given.outputs.forEach((outputs, weight) => {
    for (let row = 0; row < rows; row++) {
      for (let output = 0; output < outputs; output++) {
        const { sum, magnitude } = dot(given, weight, row, output);
        const bias = given.biases[weight]?.[output] ?? 0;
        const value = results[weight]?.[row * outputs + output] ?? Number.NaN;
        const error = Math.abs(value - sum - bias);
        if (!(error <= tolerance * (magnitude + Math.abs(bias)) + 1e-30)) {
          expect.fail(
            `weight ${weight}, row ${row}, output ${output}: ${value}, not ${sum + bias}`,
          );
        }
      }
    }
  });
}

describe.skipIf(missing)(`linear layers ${missing ? NO_NVRTC : ""}`, () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open();
  });
  afterAll(() => lab.close());

  it.each([
    // Shapes with a padded tile in either direction, rows that are not 16-byte aligned, one output.
    ["bf16", 64, 64, 3],
    ["f16", 40, 33, 5],
    ["bf16", 37, 1, 2],
    ["bf16", 1100, 70, 9],
    ["f16", 560, 100, 70],
  ] as const)("multiply %s [%i inputs, %i outputs] for %i rows", (dtype, inputs, outputs, rows) => {
    const given = linearCase(dtype, dtype, inputs, [outputs], rows, true);
    expectClose(given, rows, runStoring(lab, given, rows));
  });

  it.each([
    ["f32", 64, 48, 3],
    ["f32", 37, 17, 1],
    ["bf16", 50, 33, 2],
    ["f16", 201, 5, 9],
  ] as const)(
    "multiply f32 with %s weights [%i inputs, %i outputs] for %i rows",
    (dtype, inputs, outputs, rows) => {
      const given = linearCase("f32", dtype, inputs, [outputs], rows, true);
      expectClose(given, rows, runStoring(lab, given, rows));
    },
  );

  it("give a row the same bits for any number of rows and any cut", () => {
    // 1040 inputs: four parts, the last chunk not full. Two tiles of outputs and a bit.
    const given = linearCase("bf16", "bf16", 1040, [72], 130);
    const [all = new Float32Array()] = runStoring(lab, given, 130, target(1));
    expectClose(given, 130, [all]);
    for (const rows of [1, 2, 7, 12, 20, 33, 64, 130]) {
      // Many multiprocessors: parts are shared by blocks; two: by groups of warps; one: by nobody.
      for (const multiprocessors of [132, 2, 1]) {
        const order = Array.from({ length: rows }, (_, i) => (i * 37 + 5) % 130);
        const [some = new Float32Array()] = runStoring(
          lab,
          given,
          rows,
          target(multiprocessors),
          order,
        );
        order.forEach((from, to) => {
          expect(some.subarray(to * 72, (to + 1) * 72)).toEqual(
            all.subarray(from * 72, (from + 1) * 72),
          );
        });
      }
    }
  });

  it("add up in a cluster what blocks add up through memory, and split the epilogue's rows", async () => {
    const given = linearCase("bf16", "bf16", 520, [72], 33, true);
    const hopper = await KernelLab.open({ arch: "sm_90", seed: 1 });
    for (const rows of [1, 7, 33]) {
      const clustered = runStoring(hopper, given, rows, target(132, 90));
      expect(clustered).toEqual(runStoring(lab, given, rows, target(132)));
    }
    hopper.close();
  });

  it.skipIf(!hasBulkCopies)(
    "give the same bits with weights copied in bulk, in every cut (needs NVRTC 12)",
    async () => {
      for (const [rows, multiprocessors] of [
        [1, 132],
        [7, 4],
        [16, 2],
        [33, 132],
        [100, 1],
      ] as const) {
        // 17 chunks go round every ring more than twice.
        const given = linearCase("bf16", "bf16", 1088, [256], rows, true);
        const hopper = await KernelLab.open({ arch: "sm_90a", seed: rows });
        const bulk = runStoring(hopper, given, rows, target(multiprocessors, 90, 12));
        expect(bulk).toEqual(runStoring(lab, given, rows, target(multiprocessors)));
        expect(hopper.counters().sharedBankConflicts).toBe(0);
        expect([...hopper.resources.values()].map(({ spillBytes }) => spillBytes)).toEqual([0]);
        expect(hopper.findings()).toEqual([]);
        hopper.close();
      }
    },
    60_000,
  );

  it.skipIf(!hasBulkCopies).each([
    // Whole blocks; a chunk and a tile that are not whole; fewer tiles than a warpgroup has warps.
    [1088, 256],
    [1032, 200],
    [520, 24],
  ])(
    "give a row the same bits on warpgroups for any number of rows and any cut [%i inputs, %i outputs] (needs NVRTC 12)",
    async (inputs, outputs) => {
      const given = linearCase("bf16", "bf16", inputs, [outputs], 300, true);
      const hopper = (multiprocessors: number) => ({
        ...target(multiprocessors, 90, 12),
        arch: "sm_90a",
      });
      const warpgroups = await KernelLab.open({ arch: "sm_90a", seed: outputs });
      const [all = new Float32Array()] = runStoring(warpgroups, given, 300, hopper(132));
      expectClose(given, 300, [all]);
      for (const rows of [1, 2, 7, 16, 33, 64, 130]) {
        // Many multiprocessors: parts are shared by the blocks of a cluster; one: by nobody.
        for (const multiprocessors of [132, 1]) {
          const order = Array.from({ length: rows }, (_, i) => (i * 37 + 5) % 300);
          const machine = hopper(multiprocessors);
          const [some = new Float32Array()] = runStoring(warpgroups, given, rows, machine, order);
          order.forEach((from, to) => {
            expect(some.subarray(to * outputs, (to + 1) * outputs)).toEqual(
              all.subarray(from * outputs, (from + 1) * outputs),
            );
          });
        }
      }
      expect(warpgroups.counters().sharedBankConflicts).toBe(0);
      expect(Math.max(...[...warpgroups.resources.values()].map((use) => use.spillBytes))).toBe(0);
      expect(warpgroups.findings()).toEqual([]);
      warpgroups.close();
    },
    60_000,
  );

  it.skipIf(!hasBulkCopies)(
    "give the same bits on warpgroups in every candidate, weights side by side (needs NVRTC 12)",
    async () => {
      for (const rows of [5, 48, 260]) {
        const given = linearCase("f16", "f16", 1088, [128, 128], rows);
        const warpgroups = await KernelLab.open({ arch: "sm_90a", seed: rows });
        const machine: Target = { ...target(8, 90, 12), arch: "sm_90a" };
        const layer = { ...operands(given, rows), epilogue: storing(given) };
        const key = tuningKey(layer, rows, machine);
        const [usual] = [runStoring(warpgroups, given, rows, machine)];
        expectClose(given, rows, usual);
        for (const candidate of linearCandidates(layer, rows, machine).map(configName)) {
          const tuned = { ...machine, tuning: { choices: { [key]: candidate } } };
          expect(runStoring(warpgroups, given, rows, tuned), candidate).toEqual(usual);
        }
        warpgroups.close();
      }
    },
    60_000,
  );

  it("meet no bank conflict and spill nothing", async () => {
    for (const [rows, multiprocessors] of [
      [8, 132],
      [16, 2],
      [64, 1],
      [100, 132],
    ] as const) {
      const fresh = await KernelLab.open();
      runStoring(
        fresh,
        linearCase("bf16", "bf16", 1024, [128], rows),
        rows,
        target(multiprocessors),
      );
      expect(fresh.counters().sharedBankConflicts).toBe(0);
      expect([...fresh.resources.values()].map(({ spillBytes }) => spillBytes)).toEqual([0]);
      fresh.close();
    }
  });

  it("give a row of f32 the same bits for any number of rows", () => {
    for (const dtype of ["f32", "bf16"] as const) {
      const given = linearCase("f32", dtype, 100, [40], 33);
      const [all = new Float32Array()] = runStoring(lab, given, 33);
      for (const rows of [1, 2, 3, 7]) {
        const [some] = runStoring(lab, given, rows);
        expect(some).toEqual(all.subarray(0, rows * 40));
      }
    }
  });
});
