import type { FloatDType } from "../../src/ir/dtype.ts";
import type { PackKernel } from "../../src/ir/program.ts";
import { packTile, weightLayout } from "../../src/ir/weight-layout.ts";

const threads = 256;
const columnsPerBlock = 128;

/**
 * The kernel that packs rows of a 16-bit weight [outputs, inputs]. The source pointer must be
 * 16-byte aligned; all rows but the weight's last ones come in multiples of 16.
 * @throws RangeError for a type whose weights are row-major.
 */
export function packKernel(dtype: FloatDType, outputs: number, inputs: number): PackKernel {
  if (weightLayout(dtype, [outputs, inputs]) !== "packed") {
    throw new RangeError(`weights of ${dtype} are row-major: there is nothing to pack`);
  }
  // Bits are moved, so all 16-bit types share a kernel; rows are an argument, so outputs do not
  // matter either.
  const entry = `pack_16bit_k${inputs}`;
  return {
    entry,
    family: "pack",
    threads,
    sharedBytes: 0,
    source: `// 16-bit weight rows of ${inputs} inputs into mma.m16n8k16 fragments.
#include "prelude/all.cuh"
#include "kernels/pack/pack.cuh"

extern "C" __global__ void __launch_bounds__(${threads})
${entry}(const u16* source, u16* packed, int first_row, int rows) {
  pack::pack_rows<${inputs}>(source, packed, first_row, rows);
}
`,
    grid: (rows) => [Math.ceil(inputs / columnsPerBlock), Math.ceil(rows / packTile), 1],
  };
}
