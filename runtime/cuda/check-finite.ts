import type { FloatDType } from "../../src/ir/dtype.ts";
import type { KernelSource } from "../../src/ir/program.ts";

/** What `bad` holds when all elements are finite. */
export const allFinite = 0xffff_ffff;

const threads = 256;
/** Elements each thread looks at, about: enough blocks to fill a device with one piece of a weight. */
const elementsPerThread = 16;

/** Storage type and the exponent's bits, all of which are set in NaN and infinity only. */
const formats = {
  f32: { type: "u32", exponent: "0x7f800000u" },
  f16: { type: "u16", exponent: "0x7c00u" },
  bf16: { type: "u16", exponent: "0x7f80u" },
} as const satisfies Record<FloatDType, { readonly type: string; readonly exponent: string }>;

/** Arguments: elements, i32 count, u32* that becomes the index of the first bad element. */
export function checkFiniteKernel(dtype: FloatDType): KernelSource {
  const { type, exponent } = formats[dtype];
  const entry = `check_finite_${dtype}`;
  return {
    entry,
    family: "check-finite",
    threads,
    sharedBytes: 0,
    source: `// Finds the first of ${dtype} elements that is NaN or infinite.
#include "prelude/types.cuh"

extern "C" __global__ void __launch_bounds__(${threads})
${entry}(const ${type}* elements, int count, u32* bad) {
  const int step = gridDim.x * ${threads};
  for (int i = blockIdx.x * ${threads} + threadIdx.x; i < count; i += step)
    if ((elements[i] & ${exponent}) == ${exponent}) atomicMin(bad, static_cast<u32>(i));
}
`,
  };
}

/** Blocks for `count` elements. */
export function checkFiniteBlocks(count: number): number {
  return Math.max(1, Math.ceil(count / (threads * elementsPerThread)));
}
