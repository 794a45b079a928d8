import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KernelCall } from "../../kernels/entry.ts";
import { packKernel } from "../../kernels/pack/pack.ts";
import { packedIndex, weightBytes } from "../../src/ir/weight-layout.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab } from "../helpers/kernel-lab.ts";

const missing = installedNvrtc().length === 0;

function pack(outputs: number, inputs: number, source: number, first: number, rows: number) {
  const kernel = packKernel("bf16", outputs, inputs);
  const call: KernelCall = {
    kernel,
    launch: {
      kernel: kernel.entry,
      grid: kernel.grid(rows),
      args: [
        { name: "source", type: "buffer", buffer: source, access: "read" },
        { name: "packed", type: "buffer", buffer: 0, access: "write" },
        { name: "first_row", type: "i32", value: first },
        { name: "rows", type: "i32", value: rows },
      ],
      label: "pack",
      traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
    },
  };
  return call;
}

describe.skipIf(missing)(`packing weights ${missing ? NO_NVRTC : ""}`, () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open();
  });
  afterAll(() => lab.close());

  it.each([
    [16, 16],
    [33, 40],
    [1, 1],
    [48, 200],
    [17, 131],
  ])(
    "puts every element of [%i, %i] where the layout says, and zeros around",
    (outputs, inputs) => {
      const rows = Uint16Array.from({ length: outputs * inputs }, (_, i) => i + 1);
      const expected = new Uint16Array(weightBytes("bf16", [outputs, inputs]) / 2);
      for (let n = 0; n < outputs; n++) {
        for (let k = 0; k < inputs; k++) {
          expected[packedIndex(n, k, inputs)] = rows[n * inputs + k] ?? 0;
        }
      }
      const after = lab.run(
        [pack(outputs, inputs, 1, 0, outputs)],
        new Map([
          [0, new Uint16Array(expected.length).fill(0xffff)],
          [1, rows],
        ]),
      );
      expect(new Uint16Array(after.get(0)?.buffer ?? new ArrayBuffer(0))).toEqual(expected);
      expect(lab.findings()).toEqual([]);
    },
  );

  it("packs a weight in pieces as it packs it whole", () => {
    const [outputs, inputs] = [70, 24];
    const rows = Uint16Array.from({ length: outputs * inputs }, (_, i) => 3 * i + 1);
    const packed = { bytes: weightBytes("bf16", [outputs, inputs]) };
    const whole = lab.run(
      [pack(outputs, inputs, 1, 0, outputs)],
      new Map<number, typeof packed | Uint16Array>([
        [0, packed],
        [1, rows],
      ]),
    );
    const pieces = lab.run(
      [pack(outputs, inputs, 1, 0, 32), pack(outputs, inputs, 2, 32, 38)],
      new Map<number, typeof packed | Uint16Array>([
        [0, packed],
        [1, rows.slice(0, 32 * inputs)],
        [2, rows.slice(32 * inputs)],
      ]),
    );
    expect(pieces.get(0)).toEqual(whole.get(0));
    expect(lab.findings()).toEqual([]);
  });

  it("meets no bank conflict and reads whole sectors", async () => {
    const fresh = await KernelLab.open();
    const [outputs, inputs] = [32, 256];
    fresh.run(
      [pack(outputs, inputs, 1, 0, outputs)],
      new Map<number, Uint16Array | { bytes: number }>([
        [0, { bytes: 2 * outputs * inputs }],
        [1, new Uint16Array(outputs * inputs)],
      ]),
    );
    expect(fresh.counters().sharedBankConflicts).toBe(0);
    expect(fresh.counters().sectorsPerRequest).toBe(16);
    expect([...fresh.resources.values()].map((usage) => usage.spillBytes)).toEqual([0]);
    fresh.close();
  });

  it("refuses types whose weights stay row-major", () => {
    expect(() => packKernel("f32", 16, 16)).toThrow(RangeError);
  });
});
