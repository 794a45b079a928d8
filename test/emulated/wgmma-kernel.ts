/** A kernel of one warpgroup that multiplies through wgmma, in pieces that tests may replace. */
import { fromBf16, fromF16 } from "../../src/ir/float-formats.ts";
import { type KernelRunResult, parseKernelArg, runKernel } from "../../src/index.ts";

export type ElementType = "bf16" | "f16";

/** Depth of the product: a row of both operands is 128 bytes, the width of the swizzle. */
export const DEPTH = 64;

const list = (count: number, item: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => item(at)).join(", ");

/** `NAME(d, a, b, keep)`: 64 rows by `columns` by 16; A in registers or behind a descriptor. */
export function wgmmaFunction(
  name: string,
  columns: number,
  type: ElementType,
  a: "registers" | "shared",
): string {
  const count = columns / 2;
  const [operandA, constraintA] =
    a === "registers"
      ? [`{${list(4, (i) => `%${count + i}`)}}`, list(4, (i) => `"r"(a[${i}])`)]
      : [`%${count}`, '"l"(a)'];
  const next = count + (a === "registers" ? 4 : 1);
  return `
DEVICE void ${name}(float (&d)[${count}], ${a === "registers" ? "const u32 (&a)[4]" : "u64 a"}, u64 b, u32 keep = 1) {
  asm volatile("{\\n.reg .pred p;\\nsetp.ne.b32 p, %${next + 1}, 0;\\n"
    "wgmma.mma_async.sync.aligned.m64n${columns}k16.f32.${type}.${type} "
    "{${list(count, (i) => `%${i}`)}}, ${operandA}, %${next}, p, 1, 1, ${a === "registers" ? "0" : "0, 0"};\\n}"
    : ${list(count, (i) => `"+f"(d[${i}])`)}
    : ${constraintA}, "l"(b), "r"(keep));
}`;
}

/** The steps of the kernel; each names what is at hand. */
export interface Steps {
  /** Puts 16 bytes `from` to `to`, both operands' rows swizzled. */
  readonly fill: string;
  /** Between the last write to shared memory and the barrier. */
  readonly publish: string;
  /** From fragments `f[4][4]`, descriptors `at_a(k)`, `at_b(k)` to accumulators `d`. */
  readonly multiply: string;
}

export const RIGHT: Steps = {
  fill: "*reinterpret_cast<Vec<u32, 4>*>(shared + to) = *reinterpret_cast<const Vec<u32, 4>*>(from);",
  publish: "async_proxy_fence();",
  multiply: `wgmma_fence();
  for (int k = 0; k < 4; ++k) multiply(d, f[k], at_b(k));
  wgmma_commit();
  wgmma_wait<0>();`,
};

export interface WgmmaCase {
  readonly columns: number;
  readonly type?: ElementType;
  readonly a?: "registers" | "shared";
  readonly steps?: Partial<Steps>;
}

/** Runs C (64 x columns) = A (64 x 64) B (64 x columns), with B given column by column. */
export async function runWgmma({
  columns,
  type = "bf16",
  a = "registers",
  steps = {},
}: WgmmaCase): Promise<{
  readonly c: Float32Array;
  readonly expected: Float64Array;
  readonly findings: KernelRunResult["findings"];
}> {
  const { fill, publish, multiply } = { ...RIGHT, ...steps };
  const { buffers, findings } = await runKernel({
    source: `#include "prelude/all.cuh"
${wgmmaFunction("multiply", columns, type, "registers")}
${wgmmaFunction("multiply_shared", columns, type, "shared")}
extern "C" __global__ void k(float* c, const ${type}* a, const ${type}* b) {
  __shared__ alignas(1024) u8 shared[(64 + ${columns}) * 128];
  const u32 base = shared_address(shared), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // A's rows, then B's columns: 16-byte pieces are permuted by the row.
  for (u32 i = threadIdx.x; i < (64 + ${columns}) * 8; i += 128) {
    const u32 row = i / 8, to = row * 128 + (i % 8 ^ row % 8) * 16;
    const ${type}* from = row < 64 ? a + i * 8 : b + (i - 64 * 8) * 8;
    ${fill}
  }
  ${publish}
  __syncthreads();
  u32 f[4][4];
  for (int k = 0; k < 4; ++k)
    for (int i = 0; i < 4; ++i)
      f[k][i] = *reinterpret_cast<const u32*>(a + (16 * warp + lane / 4 + i % 2 * 8) * 64 + 16 * k + 2 * (lane % 4) + i / 2 * 8);
  const auto at_a = [&](int k) { return wgmma_descriptor(base + 32 * k, 16, 1024, 1); };
  const auto at_b = [&](int k) { return wgmma_descriptor(base + 64 * 128 + 32 * k, 16, 1024, 1); };
  float d[${columns / 2}] = {};
  ${a === "registers" ? multiply : multiply.replaceAll(/multiply\((\w+), f\[(\w+)\]/g, "multiply_shared($1, at_a($2)")}
  for (int i = 0; i < ${columns / 2}; ++i) {
    const int row = 16 * warp + lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + 2 * (lane % 4) + i % 2;
    c[row * ${columns} + column] = d[i];
  }
}`,
    fileName: "wgmma-test.cu",
    entry: "k",
    grid: { x: 1, y: 1, z: 1 },
    block: { x: 128, y: 1, z: 1 },
    args: [
      `f32:${64 * columns}:uninit`,
      `${type}:${64 * DEPTH}:random`,
      `${type}:${columns * DEPTH}:random`,
    ].map(parseKernelArg),
    arch: "sm_90a",
    seed: 3,
  });
  const [c, ...operands] = buffers.map((bytes) => new Uint8Array(bytes ?? []).buffer);
  const decode = type === "bf16" ? fromBf16 : fromF16;
  const [left = [], right = []] = operands.map((bytes) =>
    Array.from(new Uint16Array(bytes), decode),
  );
  const expected = Float64Array.from({ length: 64 * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < DEPTH; k++) {
      sum += (left[row * DEPTH + k] ?? 0) * (right[column * DEPTH + k] ?? 0);
    }
    return sum;
  });
  return { c: new Float32Array(c ?? new ArrayBuffer(0)), expected, findings };
}

/** Largest distance from the product; NaN where the kernel wrote nothing. */
export function error(c: Float32Array, expected: Float64Array): number {
  return expected.reduce((worst, value, at) => {
    const distance = Math.abs((c[at] ?? Number.NaN) - value);
    return distance > worst || Number.isNaN(distance) ? distance : worst;
  }, 0);
}
