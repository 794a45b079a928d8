import { describe, expect, it } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../src/ir/float-formats.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { runOne } from "./run-prelude.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs the prelude", () => {}));

const INDEX = "const int i = blockIdx.x * blockDim.x + threadIdx.x;";

/** The value of an e4m3 code, from its definition. */
function e4m3(code: number): number {
  const magnitude = code & 0x7f;
  if (magnitude === 0x7f) return Number.NaN;
  const exponent = magnitude >> 3;
  const fraction = magnitude & 7;
  const value = exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
  return code & 0x80 ? -value : value;
}

/** The nearest code by search, ties to the even one; saturating. */
function nearestE4m3(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x80 : 0;
  let best = 0;
  for (let code = 0; code < 0x7f; code++) {
    const distance = Math.abs(e4m3(code) - Math.abs(x));
    const bestDistance = Math.abs(e4m3(best) - Math.abs(x));
    if (distance < bestDistance || (distance === bestDistance && code % 2 === 0)) best = code;
  }
  return sign | best;
}

describe.skipIf(installedNvrtc().length === 0)("the prelude on the emulator", () => {
  it("decodes every fp8 code", async () => {
    const out = new Float32Array(
      await runOne(
        `float* y) { ${INDEX} y[i] = to_float(e4m3{static_cast<u8>(i)}); y[i + 256] = to_float(e5m2{static_cast<u8>(i)}); }`,
        ["f32:512:uninit"],
        256,
      ),
    );
    expect([...out.subarray(0, 256)]).toEqual(Array.from({ length: 256 }, (_, i) => e4m3(i)));
    expect([...out.subarray(256)]).toEqual(Array.from({ length: 256 }, (_, i) => fromF16(i << 8)));
  });

  it("encodes e4m3 to the nearest value, ties to even, saturating", async () => {
    const count = 4096;
    const buffer = await runOne(
      `u8* y, float* x) { ${INDEX}
  // Values around all codes and the ties between them, then ever larger ones.
  float v = to_float(e4m3{static_cast<u8>(i & 0xff)});
  v = (i & 0x7f) == 0x7f ? 460.0f + i : v * (1.0f + (i >> 8) / 64.0f - 0.125f);
  x[i] = v;
  y[i] = from_float<e4m3>(v).bits; }`,
      [`u8:${count}:uninit`, `f32:${count}:uninit`],
      count,
    );
    const codes = new Uint8Array(buffer);
    for (let i = 0; i < count; i++) {
      const base = e4m3(i & 0xff);
      const factor = Math.fround(Math.fround(1 + (i >> 8) / 64) - 0.125);
      const x = (i & 0x7f) === 0x7f ? 460 + i : Math.fround(base * factor);
      expect([i, codes[i]]).toEqual([i, nearestE4m3(x)]);
    }
  });

  it("rounds to bf16 and f16 as the reference does", async () => {
    const count = 8192;
    const bytes = await runOne(
      `u16* y, const float* x, int n) { ${INDEX}
  const float v = x[i] * exp2f(static_cast<float>(i % 40 - 25));
  y[i] = from_float<bf16>(v).bits; y[n + i] = from_float<f16>(v).bits; y[2 * n + i] = pack_bf16(v, x[i]) >> 16;
  reinterpret_cast<float*>(y + 3 * n)[i] = v; }`,
      [`f16:${5 * count}:uninit`, `f32:${count}:random`, `i32=${count}`],
      count,
    );
    const words = new Uint16Array(bytes, 0, 3 * count);
    const values = new Float32Array(bytes, 6 * count, count);
    for (let i = 0; i < count; i++) {
      const v = values[i] ?? 0;
      expect([i, words[i]]).toEqual([i, toBf16(v)]);
      expect([i, words[count + i]]).toEqual([i, toF16(v)]);
    }
    expect(fromBf16(words[2 * count] ?? 0)).toBeCloseTo(
      fromBf16(toBf16(fromBf16(words[2 * count] ?? 0))),
    );
  });

  it("sums and maximises over a warp in one order", async () => {
    const out = new Float32Array(
      await runOne(
        `float* y, const float* x) { ${INDEX} y[i] = warp_sum(x[i]); y[i + 256] = warp_max(x[i]); }`,
        ["f32:512:uninit", "f32:256:iota"],
        256,
      ),
    );
    const sum = (warp: number) => 32 * 32 * warp + 496;
    expect([...out.subarray(0, 256)]).toEqual(Array.from({ length: 256 }, (_, i) => sum(i >> 5)));
    expect(out[256 + 40]).toBe(63);
  });
});
