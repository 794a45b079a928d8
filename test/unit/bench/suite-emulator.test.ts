import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CudaBench, openSuiteDevice, type SuiteDevice } from "../../../bench/suite/devices.ts";
import type { Job, Settings } from "../../../bench/suite/job.ts";
import { kernelJobs } from "../../../bench/suite/kernels/kernel-suite.ts";
import type { BenchEntry } from "../../../bench/suite/results.ts";
import { stepJobs } from "../../../bench/suite/steps/step-suite.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import { createCudaExecutor } from "../../../src/api/compile-program.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { installedNvrtc, NO_NVRTC } from "../../compile/nvrtc-here.ts";

const settings: Settings = { rows: [8], isQuick: true, checks: true, rounds: 1 };
const here = installedNvrtc().length > 0;

describe.skipIf(!here)(`kernel cases on the emulator${here ? "" : ` (${NO_NVRTC})`}`, () => {
  let device: SuiteDevice;
  beforeAll(async () => {
    device = await openSuiteDevice("emulator", undefined);
  }, 60_000);
  afterAll(() => device.dispose());

  const measure = async (wanted: RegExp): Promise<BenchEntry[]> => {
    const entries: BenchEntry[] = [];
    for (const job of kernelJobs("emulator", "emulator", settings)) {
      const keys = job.keys.filter(({ id }) => wanted.test(id));
      if (keys.length > 0) await job.run(device, keys, (entry) => entries.push(entry));
    }
    return entries;
  };
  const value = (entry: BenchEntry | undefined, figure: string) =>
    entry?.figures[figure]?.median ?? Number.NaN;

  it("count what the kernels of a model do, the same every time", { timeout: 90_000 }, async () => {
    const [first] = await measure(/down/);
    const [again] = await measure(/down/);
    expect(first?.check.status).toBe("passed");
    expect(again?.figures).toEqual(first?.figures);
    // The kernel a decoder layer has: with the residual, and half of the norm that follows it.
    expect(first?.notes.kernels).toMatch(/^linear_256x704_bf16_r8_add_norm_f32_squares_\w+$/);
    const { hiddenSize, intermediateSize } = namedShape("demo");
    const weights = 2 * hiddenSize * intermediateSize;
    // Weights once, and little else: also what asynchronous copies bring.
    expect(value(first, "bytes read")).toBeGreaterThan(weights);
    expect(value(first, "bytes read")).toBeLessThan(1.5 * weights);
    const classes = Object.entries(first?.figures ?? {}).filter(([name]) => name.includes(":"));
    const sum = classes.reduce((total, [, { median }]) => total + median, 0);
    expect(sum).toBe(value(first, "instructions"));
    expect(value(first, "instructions: matrix")).toBeGreaterThan(0);
  });

  it("leave out what stands for a case's neighbours", { timeout: 90_000 }, async () => {
    const [norm] = await measure(/rms-norm/);
    const { hiddenSize } = namedShape("demo");
    // 8 rows in f32 and the weight for each in bf16; out come f32 and bf16.
    expect(value(norm, "bytes read")).toBe(8 * hiddenSize * (4 + 2));
    expect(value(norm, "bytes written")).toBe(8 * hiddenSize * (4 + 2));
  });
});

describe.skipIf(!here)(`the path of a GPU, on the emulator${here ? "" : ` (${NO_NVRTC})`}`, () => {
  let device: CudaBench;
  const driver = openDriver("emulator", { sanitizer: false });
  beforeAll(async () => {
    const options = { driver: await driver, ordinal: 0, activations: "stored" } as const;
    const executor = await createCudaExecutor(options);
    device = {
      kind: "cuda",
      about: { name: "cuda:0", details: "", copyBandwidth: 1e9 },
      target: executor.target,
      cacheType: (weights) => weights,
      executor,
      cacheBytes: 100_000,
      dispose: () => executor.dispose(),
    };
  }, 60_000);
  afterAll(async () => {
    await device.dispose();
    (await driver).close();
  });

  const first = async (jobs: readonly Job[], id: RegExp): Promise<BenchEntry | undefined> => {
    const entries: BenchEntry[] = [];
    for (const job of jobs) {
      const keys = job.keys.filter((key) => id.test(key.id));
      if (keys.length > 0) await job.run(device, keys, (entry) => entries.push(entry));
    }
    return entries[0];
  };

  it("takes turns among copies, and times one of them", { timeout: 60_000 }, async () => {
    const jobs = kernelJobs("cuda:0", "cuda", { ...settings, rows: [1], shapes: ["demo"] });
    const entry = await first(jobs, /o_proj/);
    expect(entry?.check.status).toBe("passed");
    // 131 kB of weights, and the small ones of its neighbours, of three times the cache.
    expect(entry?.notes.copies).toBe(2);
    const { time, bandwidth, "of copy": share } = entry?.figures ?? {};
    expect(time?.median).toBeGreaterThan(0);
    expect((bandwidth?.median ?? 0) * (time?.median ?? 0)).toBeCloseTo(
      Number(entry?.notes.bytes) / 1e6,
      3,
    );
    expect(share?.median).toBeCloseTo(bandwidth?.median ?? 0, 5);
  });

  it("tells where a step's time goes", { timeout: 60_000 }, async () => {
    const options = { ...settings, rows: [1], shapes: ["demo"], contexts: [8], checks: false };
    const entry = await first(stepJobs("cuda:0", "cuda", options), /plain\/step/);
    const families = Object.keys(entry?.figures ?? {}).filter((name) => name.startsWith("time: "));
    expect(families).toContain("time: linear");
    expect(families).toContain("time: attention");
    expect(entry?.figures.time?.unit).toBe("ms");
    expect(entry?.figures["device time"]?.median).toBeGreaterThan(0);
  });
});
