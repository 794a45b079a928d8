import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSuiteDevice, type SuiteDevice } from "../../../bench/suite/devices.ts";
import type { Settings } from "../../../bench/suite/job.ts";
import { kernelJobs } from "../../../bench/suite/kernels/kernel-suite.ts";
import type { BenchEntry } from "../../../bench/suite/results.ts";
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
