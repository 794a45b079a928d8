import { expect, test } from "vitest";
import { exp } from "../../../runtime/cpu/kernels/vector-math.ts";
import { i32, v128 } from "../../../runtime/wasm/wasm.ts";
import { compile } from "../wasm/compile.ts";
import { gaussians, KernelHarness, ulps } from "./kernel-harness.ts";

const harness = new KernelHarness();
const shapes = [
  [1, 1],
  [1, 704],
  [3, 5],
  [7, 64],
  [2, 131],
] as const;

test("sums and products with a matrix, one row for all, or one number", () => {
  for (const [rows, columns] of shapes) {
    const [left, right] = [gaussians(rows * columns, 1), gaussians(rows * columns, 2)];
    const [a, b] = [harness.f32(left), harness.f32(right)];
    const y = harness.allocate(rows * columns * 4);
    for (const [name, apply] of [
      ["add", (p: number, q: number) => p + q],
      ["mul", (p: number, q: number) => p * q],
    ] as const) {
      for (const [stride, scalar, index] of [
        [4 * columns, 0, (at: number) => at],
        [0, 0, (at: number) => at % columns],
        [0, 1, () => 0],
      ] as const) {
        harness.split(name, { a, b, y, rows, columns, stride, scalar }, columns, 3);
        expect(harness.view(y, rows * columns)).toEqual(
          left.map((value, at) => apply(value, right[index(at)] ?? 0)),
        );
      }
    }
  }
});

test("integer sums wrap and never pass through floats", () => {
  const a = harness.i32([2 ** 31 - 1, -5, 0x7fc00001, 7, 16_777_217]);
  const b = harness.i32([1]);
  const y = harness.allocate(20);
  harness.call("add_i32", { a, b, y, rows: 1, columns: 5, stride: 0, scalar: 1 }, 0, 5);
  expect([...harness.ints(y, 5)]).toEqual([-(2 ** 31), -4, 0x7fc00002, 8, 16_777_218]);
});

test("silu is within 4 units in the last place everywhere and right at the ends", () => {
  const values = [0, -0, 1e-30, -1e-30, 88, -87, 100, -88, Number.NaN];
  for (let value = -86; value < 90; value += 0.0137) values.push(value);
  const x = harness.f32(values);
  const y = harness.allocate(4 * values.length);
  harness.split("silu", { x, y, rows: 1, columns: values.length }, values.length, 3);
  const got = harness.view(y, values.length);
  for (const [at, exact] of Float32Array.from(values).entries()) {
    const value = got[at] ?? 0;
    const want = exact / (1 + Math.exp(-exact));
    if (ulps(value, want) > 4) expect([exact, value]).toEqual(want);
  }
  // e^88 is finite in f32, so nothing is lost before that; below, the result is at most 1e-37.
  const far = harness.f32([-104, -1000, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  harness.call("silu", { x: far, y, rows: 1, columns: 4 }, 0, 4);
  const ends = [...harness.view(y, 4)];
  expect(Math.abs(ends[0] ?? 1)).toBeLessThan(1e-37);
  expect(Math.abs(ends[1] ?? 1)).toBe(0);
  expect(ends[3]).toBe(Number.POSITIVE_INFINITY);
});

test("the gated product is silu(gate) times up, in the same bits whatever the split", () => {
  for (const [rows, columns] of shapes) {
    const [gates, ups] = [gaussians(rows * columns, 3), gaussians(rows * columns, 4)];
    const [gate, up] = [harness.f32(gates), harness.f32(ups)];
    const y = harness.allocate(rows * columns * 4);
    harness.call("silu_mul", { gate, up, y, rows, columns }, 0, columns);
    const whole = harness.view(y, rows * columns).slice();
    for (const [at, value] of whole.entries()) {
      const g = gates[at] ?? 0;
      expect(ulps(value, (g / (1 + Math.exp(-g))) * (ups[at] ?? 0))).toBeLessThan(5);
    }
    harness.split("silu_mul", { gate, up, y, rows, columns }, columns, 5);
    expect(harness.view(y, rows * columns)).toEqual(whole);
  }
});

test("root mean square norm agrees with f64 for whole vectors and tails", () => {
  for (const width of [1, 3, 4, 64, 101, 4096]) {
    const rows = 3;
    const values = gaussians(rows * width, width);
    const weights = gaussians(width, 9);
    const [x, w] = [harness.f32(values), harness.f32(weights)];
    const y = harness.allocate(rows * width * 4);
    harness.split("rms_norm", { x, w, y, width, eps: 1e-5 }, rows, 2);
    const got = harness.view(y, rows * width);
    for (let row = 0; row < rows; row++) {
      const slice = values.subarray(row * width, (row + 1) * width);
      const square = slice.reduce((sum, value) => sum + value * value, 0) / width;
      for (let i = 0; i < width; i++) {
        const want = ((slice[i] ?? 0) / Math.sqrt(square + 1e-5)) * (weights[i] ?? 0);
        const error = Math.abs((got[row * width + i] ?? 0) - want);
        expect(error).toBeLessThanOrEqual(Math.abs(want) * 2e-6);
      }
    }
  }
});

test("rotary embedding turns pairs by position times frequency, for positions of any size", () => {
  for (const half of [1, 3, 4, 32]) {
    const heads = 3;
    const positions = [0, 1, 2, 511, 131_071, 16_777_215];
    const rows = positions.length;
    const frequencies = Float32Array.from({ length: half }, (_, i) => 10_000 ** (-i / half));
    const values = gaussians(rows * heads * 2 * half);
    const table = harness.allocate(rows * half * 8);
    const at = harness.i32(positions);
    harness.split(
      "rope_table",
      { positions: at, frequencies: harness.f32(frequencies), table, half },
      rows,
      2,
    );
    const x = harness.f32(values);
    const y = harness.allocate(values.length * 4);
    harness.split("rope", { x, table, y, rows, heads, half }, rows * heads, 4);
    const got = harness.view(y, values.length);
    for (const [row, position] of positions.entries()) {
      for (let head = 0; head < heads; head++) {
        for (let i = 0; i < half; i++) {
          const low = (row * heads + head) * 2 * half + i;
          const [a, b] = [values[low] ?? 0, values[low + half] ?? 0];
          const angle = position * (frequencies[i] ?? 0);
          const [c, s] = [Math.cos(angle), Math.sin(angle)];
          expect(got[low]).toBeCloseTo(a * c - b * s, 5);
          expect(got[low + half]).toBeCloseTo(b * c + a * s, 5);
        }
      }
    }
  }
});

test("rotary tables are correctly rounded but for one unit in the last place", () => {
  const positions = Int32Array.from({ length: 2000 }, (_, i) => i * 1013 - 5);
  const at = harness.i32(positions);
  const table = harness.allocate(positions.length * 8);
  const frequencies = harness.f32([1]);
  harness.call("rope_table", { positions: at, frequencies, table, half: 1 }, 0, positions.length);
  const got = harness.view(table, 2 * positions.length);
  for (const [row, position] of positions.entries()) {
    expect(ulps(got[2 * row] ?? 0, Math.cos(position))).toBeLessThan(1);
    expect(ulps(got[2 * row + 1] ?? 0, Math.sin(position))).toBeLessThan(1);
  }
});

test("exp is within 2 units in the last place, subnormal results and the ends included", () => {
  const memory = new WebAssembly.Memory({ initial: 16 });
  const exports = compile(
    (m) => {
      m.importMemory("env", "memory", { initial: 1 });
      const f = m.func("exp", ["i32"]);
      const at = f.let(i32.const(0));
      f.upTo(at, f.param("i32", 0), 16, () => f.do(v128.store(at, exp(f, v128.load(at)))));
    },
    { env: { memory } },
  );
  const values = [0, -0, 1, -1, 88.72283, 88.7229, -103.9, -104.1, 1000, -1000, Number.NaN];
  values.push(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  for (let value = -104; value < 89; value += 0.00171) values.push(value);
  const view = new Float32Array(memory.buffer, 0, Math.ceil(values.length / 4) * 4);
  view.set(values);
  const given = view.slice();
  exports.exp?.(view.byteLength);
  for (const [at, value] of given.entries()) {
    const [got, want] = [view[at] ?? 0, Math.exp(value)];
    if (ulps(got, want) > 2) expect([value, got]).toEqual(want);
  }
});
