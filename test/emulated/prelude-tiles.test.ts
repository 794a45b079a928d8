import { describe, expect, it } from "vitest";
import { fromBf16, fromF16 } from "../../src/ir/float-formats.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { runAll, runOne } from "./run-prelude.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs the prelude", () => {}));

/** Row-major (rows x depth) times row-major (depth x columns), in f64. */
function multiply(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  [rows, columns, depth]: readonly [number, number, number],
): number[] {
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < depth; k++)
      sum += (a[row * depth + k] ?? 0) * (b[k * columns + column] ?? 0);
    return sum;
  });
}

const expectClose = (actual: ArrayLike<number>, expected: readonly number[]): void => {
  for (const [i, value] of expected.entries()) {
    expect(Math.abs((actual[i] ?? Number.NaN) - value), `element ${i}`).toBeLessThan(1e-5);
  }
};

describe.skipIf(installedNvrtc().length === 0)("tiles through the prelude on the emulator", () => {
  it.each([
    ["bf16", fromBf16],
    ["f16", fromF16],
  ] as const)("multiplies %s tiles: cp.async in, ldmatrix, mma, out", async (type, decode) => {
    const [c, a, b] = await runAll(
      `float* c, const ${type}* a, const ${type}* b) {
  // A is 16x16 and B 16x8, both row-major: B reaches the tensor core through the transposing load.
  __shared__ alignas(16) ${type} tile_a[256];
  __shared__ alignas(16) ${type} tile_b[128];
  const u32 lane = threadIdx.x, base_a = shared_address(tile_a), base_b = shared_address(tile_b);
  cp_async_16(base_a + lane * 16, a + lane * 8);
  if (lane < 16) cp_async_16(base_b + lane * 16, b + lane * 8);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  u32 fa[4], fb[2];
  float d[4] = {};
  ldmatrix_x4(fa, base_a + (lane % 16) * 32 + (lane / 16) * 16);
  ldmatrix_x2_trans(fb, base_b + (lane % 16) * 16);
  mma_m16n8k16_${type}(d, fa, fb);
  const u32 g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}`,
      ["f32:128:uninit", `${type}:256:random`, `${type}:128:random`],
      32,
    );
    const floats = (buffer: ArrayBuffer | undefined) =>
      Array.from(new Uint16Array(buffer ?? new ArrayBuffer(0)), decode);
    expectClose(
      new Float32Array(c ?? new ArrayBuffer(0)),
      multiply(floats(a), floats(b), [16, 8, 16]),
    );
  });

  it("multiplies int8 tiles exactly, from the documented fragments", async () => {
    const [c, a, b] = await runAll(
      `int* c, const u32* a, const i8* b) {
  const u32 lane = threadIdx.x, g = lane / 4, t = lane % 4;
  // A is 16x32 row-major, four elements a word; B is 32x8 row-major.
  const u32 fa[4] = {a[g * 8 + t], a[(g + 8) * 8 + t], a[g * 8 + t + 4], a[(g + 8) * 8 + t + 4]};
  u32 fb[2] = {};
  for (int i = 0; i < 8; ++i) fb[i / 4] |= static_cast<u32>(static_cast<u8>(b[(4 * t + i % 4 + i / 4 * 16) * 8 + g])) << (i % 4 * 8);
  i32 d[4] = {};
  mma_m16n8k32_i8(d, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}`,
      ["i32:128:uninit", "i8:512:random", "i8:256:random"],
      32,
    );
    const empty = new ArrayBuffer(0);
    expect([...new Int32Array(c ?? empty)]).toEqual(
      multiply(new Int8Array(a ?? empty), new Int8Array(b ?? empty), [16, 8, 32]),
    );
  });

  it("multiplies tf32 tiles", async () => {
    const [c, a, b] = await runAll(
      `float* c, const float* a, const float* b) {
  const u32 lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const u32 fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
  const u32 fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float d[4] = {};
  mma_m16n8k8_tf32(d, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}`,
      // Integers are exact in tf32, so the sums are too.
      ["f32:128:uninit", "f32:128:iota", "f32:64:iota"],
      32,
    );
    const floats = (buffer: ArrayBuffer | undefined) =>
      new Float32Array(buffer ?? new ArrayBuffer(0));
    expectClose(floats(c), multiply(floats(a), floats(b), [16, 8, 8]));
  });

  it("fills the rest of a short cp.async with zeros", async () => {
    const out = new Uint32Array(
      await runOne(
        `u32* y, const u32* x) {
  __shared__ alignas(16) u32 tile[128];
  cp_async_16(shared_address(tile + threadIdx.x * 4), x + threadIdx.x * 4, (threadIdx.x % 5) * 4);
  cp_async_commit();
  cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) y[threadIdx.x * 4 + i] = tile[threadIdx.x * 4 + i];
}`,
        ["u32:128:uninit", "u32:128:iota"],
        32,
      ),
    );
    expect([...out]).toEqual(
      Array.from({ length: 128 }, (_, i) => (i % 4 < Math.floor(i / 4) % 5 ? i : 0)),
    );
  });

  const hopper = installedNvrtc().some(({ nvrtc }) => nvrtc.version.major >= 12);
  it.skipIf(!hopper)("copies in bulk behind an mbarrier (needs NVRTC 12)", async () => {
    const [out] = await runAll(
      `u32* y, const u32* x) {
  __shared__ alignas(128) u32 tile[2][64];
  __shared__ alignas(8) u64 barriers[2];
  const u32 bar = shared_address(barriers);
  if (threadIdx.x == 0) {
    mbarrier_init(bar, 1);
    mbarrier_init(bar + 8, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  // Two stages, each used twice: the phase parity flips with every use.
  for (int step = 0; step < 4; ++step) {
    const u32 stage = step % 2;
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(bar + 8 * stage, 256);
      bulk_copy(shared_address(tile[stage]), x + 64 * step, 256, bar + 8 * stage);
    }
    mbarrier_wait(bar + 8 * stage, step / 2 & 1);
    y[64 * step + threadIdx.x] = tile[stage][63 - threadIdx.x];
    __syncthreads();
  }
}`,
      ["u32:256:uninit", "u32:256:iota"],
      64,
      "sm_90",
    );
    expect([...new Uint32Array(out ?? new ArrayBuffer(0))]).toEqual(
      Array.from({ length: 256 }, (_, i) => Math.floor(i / 64) * 64 + 63 - (i % 64)),
    );
  });

  it.skipIf(!hopper).each([8, 16, 32, 64])(
    "multiplies 64 rows by %i columns with a warpgroup (needs NVRTC 12)",
    async (columns) => {
      const [c, a, b] = await runAll(
        `float* c, const bf16* a, const bf16* b) {
  // Core matrices of 8 rows by 8 k, 128 bytes each: two along k, then the next 8 rows.
  __shared__ alignas(128) bf16 tile_a[64 * 16];
  __shared__ alignas(128) bf16 tile_b[${columns} * 16];
  for (int i = threadIdx.x; i < 64 * 16; i += 128) {
    const int row = i / 16, k = i % 16;
    tile_a[(row / 8 * 2 + k / 8) * 64 + row % 8 * 8 + k % 8] = a[i];
  }
  for (int i = threadIdx.x; i < ${columns} * 16; i += 128) {
    const int k = i / ${columns}, column = i % ${columns};
    tile_b[(column / 8 * 2 + k / 8) * 64 + column % 8 * 8 + k % 8] = b[i];
  }
  async_proxy_fence();
  __syncthreads();
  float d[${columns / 2}] = {};
  const u64 desc_a = wgmma_descriptor(shared_address(tile_a), 128, 256, 0);
  const u64 desc_b = wgmma_descriptor(shared_address(tile_b), 128, 256, 0);
  wgmma_fence();
  wgmma_m64n${columns}k16_bf16(d, desc_a, desc_b);
  wgmma_commit();
  wgmma_wait<0>();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int i = 0; i < ${columns / 2}; ++i) {
    const int row = 16 * warp + lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + 2 * (lane % 4) + i % 2;
    c[row * ${columns} + column] = d[i];
  }
}`,
        [`f32:${64 * columns}:uninit`, "bf16:1024:random", `bf16:${16 * columns}:random`],
        128,
        "sm_90a",
      );
      const floats = (buffer: ArrayBuffer | undefined) =>
        Array.from(new Uint16Array(buffer ?? new ArrayBuffer(0)), fromBf16);
      expectClose(
        new Float32Array(c ?? new ArrayBuffer(0)),
        multiply(floats(a), floats(b), [64, columns, 16]),
      );
    },
  );
});
