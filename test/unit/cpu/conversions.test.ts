import { expect, test } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../../src/ir/float-formats.ts";
import { gaussians, KernelHarness } from "./kernel-harness.ts";

const harness = new KernelHarness();
const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

test("every 16-bit pattern widens to the number it means", () => {
  const x = harness.allocate(2 * all.length);
  new Uint16Array(harness.memory.buffer, x, all.length).set(all);
  const y = harness.allocate(4 * all.length);
  for (const [name, decode] of [
    ["cast_f16_f32", fromF16],
    ["cast_bf16_f32", fromBf16],
  ] as const) {
    harness.split(name, { x, y }, all.length, 3);
    expect(harness.view(y, all.length)).toEqual(Float32Array.from(all, decode));
  }
});

test("numbers narrow to the nearest 16-bit number, halves to even, too large ones to infinity", () => {
  // Around every f16 and bf16 number: itself, the midpoint to the next, and both neighbours of that.
  const values: number[] = [Number.NaN, 1e30, -1e30, 65519, 65520, 2 ** -25, 2 ** -26, 3.4e38];
  for (const decode of [fromF16, fromBf16]) {
    for (let bits = 0; bits < 65_535; bits += 7) {
      const middle = (decode(bits) + decode(bits + 1)) / 2;
      values.push(decode(bits), middle, middle * (1 + 2 ** -22), middle * (1 - 2 ** -22));
    }
  }
  const x = harness.f32(values);
  const y = harness.allocate(2 * values.length);
  const floats = Float32Array.from(values);
  for (const [name, encode] of [
    ["cast_f32_f16", toF16],
    ["cast_f32_bf16", toBf16],
  ] as const) {
    harness.split(name, { x, y }, values.length, 3);
    const got = new Uint16Array(harness.memory.buffer, y, values.length);
    const isNaNBits = (bits: number) =>
      name === "cast_f32_f16" ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80;
    for (const [index, value] of floats.entries()) {
      const bits = got[index] ?? 0;
      if (Number.isNaN(value)) expect(isNaNBits(bits)).toBe(true);
      else if (bits !== encode(value)) expect([name, value, bits]).toEqual(encode(value));
    }
  }
});

test("an embedding widens the named rows, and a row that does not exist is reported", () => {
  const [vocabulary, width] = [11, 13];
  for (const stored of ["f32", "f16", "bf16"] as const) {
    const table = harness.stored(stored, gaussians(vocabulary * width));
    const ids = harness.i32([3, 0, 10, 3, 11]);
    const y = harness.allocate(5 * width * 4);
    const args = { table: table.address, ids, y, width, available: vocabulary };
    harness.split(`embedding_${stored}`, args, 4, 2);
    expect(harness.takeError()).toEqual([0, 0]);
    const want = [3, 0, 10, 3].flatMap((id) => [
      ...table.values.subarray(id * width, (id + 1) * width),
    ]);
    expect([...harness.view(y, 4 * width)]).toEqual(want);
    harness.call(`embedding_${stored}`, args, 4, 5);
    expect(harness.takeError()).toEqual([1, 11]);
  }
});

test("NaN and infinity are found wherever they are, and nothing else is taken for them", () => {
  const largest = { f32: 0x7f7fffff, f16: 0x7bff, bf16: 0x7f7f };
  const infinity = { f32: 0x7f800000, f16: 0x7c00, bf16: 0x7f80 };
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    const size = dtype === "f32" ? 4 : 2;
    const count = 1000 / size;
    const address = harness.allocate(1000 + 16);
    new Uint8Array(harness.memory.buffer, address, 1016).fill(0);
    const lanes =
      dtype === "f32"
        ? new Uint32Array(harness.memory.buffer, address, count)
        : new Uint16Array(harness.memory.buffer, address, count);
    lanes.fill(largest[dtype]);
    const check = () => harness.exports[`check_finite_${dtype}`]?.(address, 1000);
    expect(check()).toBe(-1);
    for (const at of [0, 1, 7, 8, 100, count - 1]) {
      for (const bad of [
        infinity[dtype],
        infinity[dtype] + 1,
        infinity[dtype] | (1 << (8 * size - 1)),
      ]) {
        lanes[at] = bad;
        expect([dtype, at, check()]).toEqual([dtype, at, Math.floor((at * size) / 16) * 16]);
        lanes[at] = 0;
      }
    }
  }
});
