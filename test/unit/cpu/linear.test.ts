import fc from "fast-check";
import { expect, test } from "vitest";
import type { FloatDType } from "../../../src/ir/dtype.ts";
import { hasFusedMultiplyAdd } from "../../../runtime/wasm/fused.ts";
import { gaussians, KernelHarness } from "./kernel-harness.ts";

const harness = new KernelHarness();
const types: FloatDType[] = ["bf16", "f16", "f32"];

/**
 * The documented order of additions in f32 arithmetic, products rounded or not as on this machine. A
 * product of two f32 numbers is exact in f64.
 */
function reference(
  stored: FloatDType,
  x: Float32Array,
  w: Float32Array,
  rows: number,
  depth: number,
  outputs: number,
): Float32Array {
  const r = Math.fround;
  const y = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < outputs; n++) {
      const sums = new Float32Array(8);
      for (let k = 0; k < depth; k++) {
        const product = (x[row * depth + k] ?? 0) * (w[n * depth + k] ?? 0);
        sums[k % 8] = r((sums[k % 8] ?? 0) + (hasFusedMultiplyAdd() ? product : r(product)));
      }
      const at = (lane: number) => sums[lane] ?? 0;
      const lanes = [0, 1, 2, 3].map((lane) =>
        stored === "f32" ? r(at(lane) + at(lane + 4)) : r(at(2 * lane) + at(2 * lane + 1)),
      );
      const [a = 0, b = 0, c = 0, d = 0] = lanes;
      y[row * outputs + n] = r(r(a + c) + r(b + d));
    }
  }
  return y;
}

function product(
  stored: FloatDType,
  rows: number,
  depth: number,
  outputs: number,
  seed = 1,
): { x: Float32Array; w: Float32Array; addresses: { x: number; w: number; y: number } } {
  const x = gaussians(rows * depth, seed);
  const { address, values } = harness.stored(
    stored,
    gaussians(outputs * depth, seed + 1).map((value) => value / 16),
  );
  const y = harness.allocate(rows * outputs * 4);
  return { x, w: values, addresses: { x: harness.f32(x), w: address, y } };
}

const sizes = { bias: 0, residual: 0, norm: 0, eps: 0 };

test.each(types)("%s: sums are added in the documented order, whatever the shape", (stored) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 75 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 5 }),
      (rows, depth, outputs, parts) => {
        const { x, w, addresses } = product(stored, rows, depth, outputs, rows);
        harness.split(
          `linear_${stored}`,
          { ...addresses, ...sizes, rows, depth, outputs },
          outputs,
          parts,
        );
        const got = harness.view(addresses.y, rows * outputs).slice();
        expect(got).toEqual(reference(stored, x, w, rows, depth, outputs));
      },
    ),
    { numRuns: 40, seed: 7 },
  );
});

test.each(types)("%s: agrees with exact products at the sizes of real models", (stored) => {
  for (const [rows, depth, outputs] of [
    [1, 64, 2001],
    [5, 100, 33],
    [2, 4096, 64],
    [3, 11008, 16],
  ] as const) {
    const { x, w, addresses } = product(stored, rows, depth, outputs);
    harness.call(`linear_${stored}`, { ...addresses, ...sizes, rows, depth, outputs }, 0, outputs);
    const got = harness.view(addresses.y, rows * outputs);
    for (let row = 0; row < rows; row++) {
      for (let n = 0; n < outputs; n++) {
        let sum = 0;
        let size = 0;
        for (let k = 0; k < depth; k++) {
          const term = (x[row * depth + k] ?? 0) * (w[n * depth + k] ?? 0);
          sum += term;
          size += Math.abs(term);
        }
        const error = Math.abs((got[row * outputs + n] ?? 0) - sum);
        if (error > size * 1e-6) expect([row, n, error, size]).toEqual("a smaller error");
      }
    }
  }
});

test.each(types)("%s: a row's bits are the same computed alone and with 63 others", (stored) => {
  const [rows, depth, outputs] = [64, 203, 37];
  const { addresses } = product(stored, rows, depth, outputs);
  const args = { ...addresses, ...sizes, depth, outputs };
  harness.call(`linear_${stored}`, { ...args, rows }, 0, outputs);
  const together = harness.view(addresses.y, rows * outputs).slice();
  for (let count = 1; count <= 8; count++) {
    for (let row = 0; row + count <= rows; row += 7) {
      const y = addresses.y + 4 * row * outputs;
      harness.view(y, count * outputs).fill(0);
      harness.split(
        `linear_${stored}`,
        { ...args, x: addresses.x + 4 * row * depth, y, rows: count },
        outputs,
        count,
      );
    }
    expect(harness.view(addresses.y, rows * outputs)).toEqual(together);
  }
});

test("bias and residual are added after the product, and the residual may be the result", () => {
  const [rows, depth, outputs] = [5, 24, 7];
  const { addresses } = product("bf16", rows, depth, outputs);
  const plain = { ...addresses, ...sizes, rows, depth, outputs };
  harness.call("linear_bf16", plain, 0, outputs);
  const bare = harness.view(addresses.y, rows * outputs).slice();
  const biases = gaussians(outputs, 5);
  const residuals = gaussians(rows * outputs, 6);
  const bias = harness.f32(biases);
  const residual = harness.f32(residuals);
  const want = bare.map((value, at) =>
    Math.fround((residuals[at] ?? 0) + Math.fround(value + (biases[at % outputs] ?? 0))),
  );
  harness.call("linear_bf16", { ...plain, y: residual, bias, residual }, 0, outputs);
  expect(harness.view(residual, rows * outputs)).toEqual(want);
});

test("f16 weights of every finite pattern, subnormals too, are multiplied exactly", () => {
  const patterns = Array.from({ length: 65_536 }, (_, bits) => bits).filter(
    (bits) => (bits & 0x7c00) !== 0x7c00,
  );
  const w = harness.allocate(patterns.length * 2);
  new Uint16Array(harness.memory.buffer, w, patterns.length).set(patterns);
  const outputs = patterns.length;
  const x = harness.f32([1.5]);
  const y = harness.allocate(outputs * 4);
  harness.call("linear_f16", { x, w, y, ...sizes, rows: 1, depth: 1, outputs }, 0, outputs);
  const table = harness.allocate(outputs * 4);
  harness.call("cast_f16_f32", { x: w, y: table }, 0, outputs);
  expect(harness.view(y, outputs)).toEqual(
    harness.view(table, outputs).map((value) => (value === 0 ? 0 : value * 1.5)),
  );
});

test("a product with a normed input has the bits of the norm followed by the product", () => {
  for (const [rows, depth, outputs] of [
    [1, 64, 9],
    [7, 101, 12],
    [40, 24, 5],
  ] as const) {
    const { addresses } = product("bf16", rows, depth, outputs);
    const w = harness.f32(gaussians(depth, 8));
    const normed = harness.allocate(rows * depth * 4);
    const norm = { x: addresses.x, w, y: normed, width: depth, eps: 1e-5 };
    harness.call("rms_norm", norm, 0, rows);
    const args = { ...addresses, ...sizes, rows, depth, outputs };
    harness.call("linear_bf16", { ...args, x: normed }, 0, outputs);
    const want = harness.view(addresses.y, rows * outputs).slice();
    harness.view(addresses.y, rows * outputs).fill(0);
    harness.split("linear_bf16", { ...args, norm: w, eps: 1e-5 }, outputs, 3);
    expect(harness.view(addresses.y, rows * outputs)).toEqual(want);
  }
});
