import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { largestDifference } from "../../../bench/suite/check.ts";
import { type CpuBench, openSuiteDevice } from "../../../bench/suite/devices.ts";
import { buildCase } from "../../../bench/suite/kernels/case-graph.ts";
import { kernelCases } from "../../../bench/suite/kernels/cases.ts";
import { kernelFamilies } from "../../../bench/suite/kernels/kernel-case.ts";
import { kernelJobs } from "../../../bench/suite/kernels/kernel-suite.ts";
import type { Job, Settings } from "../../../bench/suite/job.ts";
import type { BenchEntry } from "../../../bench/suite/results.ts";
import { stepJobs } from "../../../bench/suite/steps/step-suite.ts";
import type { Executor } from "../../../runtime/executor.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";

const settings: Settings = {
  rows: [5, 64],
  contexts: [40],
  isQuick: true,
  checks: true,
  rounds: 1,
};
let device: CpuBench;
beforeAll(async () => {
  const opened = await openSuiteDevice("cpu", 1);
  if (opened.kind !== "cpu") throw new Error("the CPU is a CPU");
  device = opened;
});
afterAll(() => device.dispose());

async function run(jobs: readonly Job[], on: CpuBench, wanted: RegExp): Promise<BenchEntry[]> {
  const entries: BenchEntry[] = [];
  for (const job of jobs) {
    const keys = job.keys.filter(({ id }) => wanted.test(id));
    if (keys.length > 0) await job.run(on, keys, (entry) => entries.push(entry));
  }
  return entries;
}

/** An executor whose floats are all a little too large. */
function wrong(executor: Executor): Executor {
  return {
    device: executor.device,
    dispose: () => executor.dispose(),
    async load(source, signal) {
      const loaded = await executor.load(source, signal);
      return {
        byteLength: loaded.byteLength,
        dispose: () => loaded.dispose(),
        session(dims) {
          const session = loaded.session(dims);
          return {
            readState: (name) => session.readState(name),
            writeState: (name, data) => session.writeState(name, data),
            dispose: () => session.dispose(),
            compile(graph) {
              const executable = session.compile(graph);
              return {
                dispose: () => executable.dispose(),
                async run(inputs, bound) {
                  const outputs = await executable.run(inputs, bound);
                  return Object.fromEntries(
                    Object.entries(outputs).map(([name, data]) => [
                      name,
                      data instanceof Float32Array ? data.map((value) => 1.001 * value) : data,
                    ]),
                  );
                },
              };
            },
          };
        },
      };
    },
  };
}

describe("kernel cases on the CPU", () => {
  it("there are some of every family, each with results that are right", {
    timeout: 60_000,
  }, async () => {
    const entries = await run(kernelJobs("cpu", "cpu", settings), device, /./);
    expect(new Set(entries.map(({ family }) => family))).toEqual(new Set(kernelFamilies));
    for (const { id, check, figures, notes } of entries) {
      expect(check, id).toMatchObject({ status: "passed" });
      expect(figures.time?.median, id).toBeGreaterThan(0);
      expect(notes.bytes, id).toBeGreaterThan(0);
    }
  });

  it("moves at least the bytes of its weights", async () => {
    const [down] = await run(kernelJobs("cpu", "cpu", settings), device, /down\/demo\/5@/);
    const { hiddenSize, intermediateSize } = namedShape("demo");
    expect(down?.notes.bytes).toBeGreaterThan(2 * hiddenSize * intermediateSize);
    expect(down?.notes.flops).toBe(2 * 5 * hiddenSize * intermediateSize);
  });

  it("says so when an executor computes something else", async () => {
    const broken = { ...device, kernels: wrong(device.kernels) };
    const entries = await run(kernelJobs("cpu", "cpu", settings), broken, /rms-norm.*\/5@/);
    expect(entries.map(({ check }) => check.status)).toEqual(["failed"]);
    const [{ check } = {}] = entries;
    expect(check).toMatchObject({ error: expect.closeTo(0.001, 4) as number });
  });

  it("says nothing of results it was told not to check", async () => {
    const entries = await run(
      kernelJobs("cpu", "cpu", { ...settings, checks: false }),
      { ...device, kernels: wrong(device.kernels) },
      /rms-norm.*\/5@/,
    );
    expect(entries.map(({ check }) => check.status)).toEqual(["skipped"]);
  });
});

describe("steps on the CPU", () => {
  it("are as many tokens as plain steps give, one method after the other", {
    timeout: 60_000,
  }, async () => {
    const jobs = stepJobs("cpu", "cpu", { ...settings, rows: [1, 16] });
    const entries = await run(jobs, device, /(plain|hydra|medusa)\/step/);
    expect(entries.map(({ family, rows }) => `${family} ${rows}`)).toEqual([
      "plain 1",
      "medusa 1",
      "medusa 16",
      "hydra 1",
      "hydra 16",
    ]);
    for (const { id, check } of entries) expect(check, id).toMatchObject({ status: "passed" });
    expect(entries[0]?.check).toMatchObject({ against: "reference interpreter, 4 tokens" });
  });
});

describe("a case's graph of one row", () => {
  const model: BaseModel = {
    config: namedShape("demo"),
    storedType: () => "bf16",
    cacheType: "f32",
  };
  const extent = { rows: 7, context: 40, capacity: 47, isCompiled: false };

  it.each(kernelCases.filter(({ results }) => results === "rows"))(
    "reads what that row of the whole reads: $family $name",
    (kernelCase) => {
      const whole = buildCase(kernelCase, model, extent, 1);
      const single = buildCase(kernelCase, model, { ...extent, row: 4 }, 1);
      for (const [name, part] of single.contents) {
        const all = whole.contents.get(name);
        if (all === undefined || name === "0.length") continue;
        if (part.length === all.length) expect(part, name).toEqual(all);
        else expect(part, name).toEqual(all.slice(4 * part.length, 5 * part.length));
      }
      expect([...single.contents.keys()]).toEqual([...whole.contents.keys()]);
    },
  );
});

describe("the largest difference", () => {
  const expected = Float32Array.of(1, -4, 2);
  it("is relative to the largest value that is expected", () => {
    const { error, message } = largestDifference("y", Float32Array.of(1, -4, 3), expected);
    expect(error).toBe(0.25);
    expect(message).toContain("y[2] is 3, 2 is expected");
  });

  it("is that of the beginning where less is expected", () => {
    expect(largestDifference("y", Float32Array.of(1, -4, 2, 99), expected).error).toBe(0);
  });

  it("is not hidden by what is not a number, nor by results that are missing", () => {
    expect(largestDifference("y", Float32Array.of(1, Number.NaN, 9), expected).error).toBeNaN();
    expect(largestDifference("y", Float32Array.of(1, -4), expected).error).toBe(1);
    expect(largestDifference("y", undefined, expected).error).toBe(1);
  });

  it("of integers is all or nothing", () => {
    expect(largestDifference("y", Int32Array.of(1, 2), Int32Array.of(1, 2)).error).toBe(0);
    expect(largestDifference("y", Int32Array.of(1, 3), Int32Array.of(1, 2))).toEqual({
      error: 1,
      message: "y[1] is 3, 2 is expected",
    });
  });
});
