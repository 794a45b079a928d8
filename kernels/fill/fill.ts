import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import type { SyntheticValues } from "../../src/ir/program.ts";
import { cudaTypes, type KernelCall, KernelEntry } from "../entry.ts";

const threads = 256;

/**
 * Elements of a synthetic weight from the row-major index `first` on, into buffer 0 (16-byte
 * aligned). The host has the same numbers (src/weights/synthetic.ts).
 */
export function fillKernel(
  dtype: FloatDType,
  values: SyntheticValues,
  first: number,
  elements: number,
): KernelCall {
  const type = cudaTypes[dtype];
  const vector = 16 / byteSize(dtype);
  const normal = values.kind === "normal";
  const entry = new KernelEntry("fill");
  const parameters = [
    entry.buffer("destination", 0, type, "write"),
    // Unsigned on the device.
    entry.i32("first", first | 0),
    entry.i32("elements", elements),
    entry.i32("seed", normal ? values.seed | 0 : 0),
    entry.f32("mean", normal ? 0 : values.value),
    entry.f32("scale", normal ? values.scale : 0),
  ];
  return entry.finish({
    name: `fill_${dtype}`,
    comment: `mean + scale * a normally distributed number, stored as ${dtype}.`,
    includes: ["kernels/fill/fill.cuh"],
    config: `constexpr int kVector = ${vector};`,
    body: `fill<kVector>(${parameters.join(", ")});`,
    threads,
    grid: [Math.ceil(elements / vector / threads), 1, 1],
    label: "fill",
    traffic: {
      weightBytes: 0,
      readBytes: 0,
      writtenBytes: elements * byteSize(dtype),
      flops: 3 * elements,
    },
  });
}
