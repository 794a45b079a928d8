import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { elementsOf } from "../../kernels/entry.ts";
import { type LinearOp, linear } from "../../kernels/linear/linear.ts";
import { tileCount } from "../../kernels/linear/tiling.ts";
import { decodeFloats } from "../../src/ir/float-formats.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";
import { dot, type LinearCase, linearCase, operands, runLinear, target } from "./linear-case.ts";

const missing = installedNvrtc().length === 0;

/** What a row's accumulators are multiplied by: its `parts` partial sums over its width. */
function scales(rows: number, parts: number, width: number, eps: number) {
  const sums = new Random(9).normals(rows * parts).map(Math.abs);
  const of = (row: number): number => {
    const total = sums.subarray(row * parts, (row + 1) * parts).reduce((a, b) => a + b, 0);
    return 1 / Math.sqrt(total / width + eps);
  };
  return { sums, of };
}

/** silu(gate) * up in bf16, its squares, from scaled accumulators. */
function gated(given: LinearCase, rows: number, parts: number): LinearOp {
  const outputs = given.outputs[0] ?? 0;
  return {
    ...operands(given, rows),
    rowScale: { sums: 30, parts, width: 64, eps: 1e-5 },
    epilogue: {
      kind: "elementwise",
      name: "silu_mul",
      readBytes: 0,
      writtenBytes: 2 * rows * outputs,
      statements: (entry, { row, column, values }) => {
        const out = entry.buffer("out", 20, "bf16", "write");
        return `const float y = ${values[0]} / (1.0f + expf(-${values[0]})) * ${values[1]};
${out}[${row} * ${outputs} + ${column}] = from_float<bf16>(y);`;
      },
      squares: { buffer: 21, value: "y" },
    },
  };
}

function rotating(given: LinearCase, rows: number, headDim: number): LinearOp {
  return {
    ...operands(given, rows),
    epilogue: {
      kind: "rope-cache",
      headDim,
      roles: ["q", "k", "v"],
      positions: elementsOf(30, "int", "positions"),
      inverseFrequencies: 31,
      start: elementsOf(32, "int", "start"),
      q: { buffer: 20, dtype: given.xType },
      keys: { buffer: 21, dtype: given.xType },
      values: { buffer: 22, dtype: "f32" },
    },
  };
}

const best = (rows: number, tiles: number, k: number): [number, LabBuffer][] => [
  [20, { bytes: 4 * rows * tiles * k }],
  [21, { bytes: 4 * rows * tiles * k }],
];

describe.skipIf(missing)(`epilogues of linear layers ${missing ? NO_NVRTC : ""}`, () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open();
  });
  afterAll(() => lab.close());

  it.each([
    ["bf16", "bf16", 520, 132],
    ["bf16", "bf16", 520, 1],
    ["f32", "bf16", 100, 132],
  ] as const)(
    "see weights side by side, scaled, with bias, and sum squares (%s x, %s weights, %i inputs, %i multiprocessors)",
    (xType, weightType, inputs, multiprocessors) => {
      const outputs = 40;
      const [maxRows, parts] = [35, 37];
      const given = linearCase(xType, weightType, inputs, [outputs, outputs], maxRows, true);
      const { sums, of } = scales(maxRows, parts, 64, 1e-5);
      const run = (rows: number) => {
        const op = gated(given, rows, parts);
        const tiles = tileCount(op);
        const buffers: [number, LabBuffer][] = [
          [20, { bytes: 2 * rows * outputs }],
          [21, { bytes: 4 * rows * tiles }],
          [30, sums.slice(0, rows * parts)],
        ];
        const { after } = runLinear(lab, given, op, buffers, target(multiprocessors));
        return {
          y: floatsOf("bf16", after.get(20)),
          squares: floatsOf("f32", after.get(21)),
          tiles,
        };
      };
      const all = run(maxRows);
      const width = Math.ceil(outputs / all.tiles / 16) * 16;
      for (let row = 0; row < maxRows; row++) {
        const expected = new Float64Array(all.tiles);
        for (let output = 0; output < outputs; output++) {
          const value = (weight: number) =>
            dot(given, weight, row, output).sum * of(row) + (given.biases[weight]?.[output] ?? 0);
          const y = (value(0) / (1 + Math.exp(-value(0)))) * value(1);
          // bf16 keeps 8 bits; the accumulator's error is small beside that.
          expect(Math.abs((all.y[row * outputs + output] ?? 0) - y)).toBeLessThanOrEqual(
            2 ** -8 * Math.abs(y) + 1e-4,
          );
          expected[Math.floor(output / width)] =
            (expected[Math.floor(output / width)] ?? 0) + y * y;
        }
        expected.forEach((sum, tile) => {
          expect(Math.abs((all.squares[row * all.tiles + tile] ?? 0) - sum)).toBeLessThanOrEqual(
            2e-4 * sum + 1e-4,
          );
        });
      }
      for (const rows of [1, 7]) {
        const some = run(rows);
        expect(some.y).toEqual(all.y.subarray(0, some.y.length));
        expect(some.squares).toEqual(all.squares.subarray(0, some.squares.length));
      }
    },
  );

  it.each([
    ["bf16", 32, [96, 64, 64], 72],
    ["f16", 24, [72, 24, 24], 520],
    ["f32", 8, [24, 8, 8], 20],
  ] as const)("rotate %s heads of %i and fill the caches", (dtype, headDim, outputs, inputs) => {
    const maxRows = 20;
    const given = linearCase(dtype, dtype, inputs, outputs, maxRows);
    const [query, cached] = [outputs[0], outputs[1]];
    const start = 3;
    const frequencies = Float32Array.from({ length: headDim / 2 }, (_, i) => 100 ** (-i / headDim));
    const position = (row: number): number => 900 + 2 * row;
    const size = dtype === "f32" ? 4 : 2;
    const run = (rows: number) => {
      const { after } = runLinear(lab, given, rotating(given, rows, headDim), [
        [20, { bytes: size * rows * query }],
        [21, { bytes: size * (start + rows) * cached }],
        [22, { bytes: 4 * (start + rows) * cached }],
        [30, Int32Array.from({ length: rows }, (_, row) => position(row))],
        [31, frequencies],
        [32, Int32Array.of(start)],
      ]);
      return [
        floatsOf(dtype, after.get(20)),
        floatsOf(dtype, after.get(21)).subarray(start * cached),
        floatsOf("f32", after.get(22)).subarray(start * cached),
      ];
    };
    const all = run(maxRows);
    const tolerance = dtype === "f32" ? 2e-5 : 2 ** -7;
    for (const [weight, width] of outputs.entries()) {
      for (let row = 0; row < maxRows; row++) {
        for (let output = 0; output < width; output++) {
          const i = output % headDim;
          const angle = position(row) * (frequencies[i % (headDim / 2)] ?? 0);
          const own = dot(given, weight, row, output).sum;
          const low = i < headDim / 2;
          const other = dot(given, weight, row, output + (low ? headDim : -headDim) / 2);
          const rotated = own * Math.cos(angle) + (low ? -1 : 1) * other.sum * Math.sin(angle);
          const expected = weight === 2 ? own : rotated;
          const error = Math.abs((all[weight]?.[row * width + output] ?? Number.NaN) - expected);
          expect(error).toBeLessThanOrEqual(tolerance * (1 + Math.abs(own) + Math.abs(other.sum)));
        }
      }
    }
    for (const rows of [1, 7]) {
      run(rows).forEach((some, i) => {
        expect(some).toEqual(all[i]?.subarray(0, some.length));
      });
    }
  });

  it.each(["bf16", "f32"] as const)(
    "keep the best of each tile, and logits where they are wanted (%s)",
    (dtype) => {
      const [outputs, inputs, rows, k] = [75, 64, 5, 3];
      const given = linearCase(dtype, dtype, inputs, [outputs], rows);
      const op: LinearOp = {
        ...operands(given, rows),
        epilogue: {
          kind: "topk",
          k,
          partialValues: 20,
          partialIds: 21,
          logits: {
            buffer: 22,
            when: (entry) => `${entry.buffer("wanted", 23, "int", "read")}[0] != 0`,
          },
        },
      };
      const tiles = tileCount(op);
      const run = (wanted: number) =>
        runLinear(lab, given, op, [
          ...best(rows, tiles, k),
          [22, new Float32Array(rows * outputs).fill(-1)],
          [23, Int32Array.of(wanted)],
        ]).after;
      expect(floatsOf("f32", run(0).get(22)).every((value) => value === -1)).toBe(true);
      const after = run(1);
      const logits = floatsOf("f32", after.get(22));
      const ids = new Int32Array(after.get(21)?.buffer ?? new ArrayBuffer(0));
      const values = floatsOf("f32", after.get(20));
      const width = 32;
      for (let row = 0; row < rows; row++) {
        for (let tile = 0; tile < tiles; tile++) {
          const ranked = Array.from({ length: Math.min(width, outputs - tile * width) }, (_, i) => {
            const id = tile * width + i;
            return { id, value: logits[row * outputs + id] ?? Number.NaN };
          }).sort((a, b) => b.value - a.value || a.id - b.id);
          const at = (row * tiles + tile) * k;
          expect([...ids.subarray(at, at + k)]).toEqual(ranked.slice(0, k).map(({ id }) => id));
          expect([...values.subarray(at, at + k)]).toEqual(
            ranked.slice(0, k).map(({ value }) => value),
          );
        }
      }
      const { sum, magnitude } = dot(given, 0, 4, 70);
      expect(Math.abs((logits[4 * outputs + 70] ?? 0) - sum)).toBeLessThan(1e-5 * magnitude);
    },
  );

  it("give the same bits whatever order blocks and warps run in", async () => {
    const given = linearCase("bf16", "bf16", 520, [64], 20);
    const op: LinearOp = {
      ...operands(given, 20),
      epilogue: { kind: "topk", k: 1, partialValues: 20, partialIds: 21 },
    };
    const seen = new Set<string>();
    for (const seed of [0, 1, 2]) {
      const seeded = await KernelLab.open({ seed });
      for (const multiprocessors of [132, 2]) {
        const { after } = runLinear(
          seeded,
          given,
          op,
          best(20, tileCount(op), 1),
          target(multiprocessors),
        );
        seen.add(decodeFloats("f32", after.get(20) ?? new Uint8Array()).join());
      }
      seeded.close();
    }
    expect(seen.size).toBe(1);
  });

  it("refuse operands that do not fit each other", () => {
    const given = linearCase("bf16", "bf16", 16, [16, 32], 1);
    const memory = { scratch: () => 40, counters: () => 41 };
    const call = (op: LinearOp) => () => linear(op, target(132), memory);
    const plain = gated(given, 1, 1);
    expect(call(plain)).toThrow("side by side");
    const [weight] = plain.weights;
    if (weight === undefined) throw new Error("there is a weight");
    expect(call({ ...plain, weights: [] })).toThrow("needs a weight");
    expect(call({ ...plain, x: { buffer: 0, dtype: "f16" }, weights: [weight] })).toThrow(
      "tensor cores do not multiply f16 with bf16",
    );
    expect(call(rotating(given, 1, 34))).toThrow("heads of 34 do not fit a tile");
    const topk = { kind: "topk", k: 65, partialValues: 20, partialIds: 21 } as const;
    expect(call({ ...plain, weights: [weight], epilogue: topk })).toThrow("k is 1 to 64");
  });
});
