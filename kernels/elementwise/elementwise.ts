import { byteSize, type DType } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { cudaTypes, type Elements, type KernelCall, KernelEntry } from "../entry.ts";

const threads = 256;

export interface ElementwiseOp {
  readonly value: Elements;
  readonly dtype: DType;
  readonly elements: number;
  readonly out: BufferId;
  readonly label: string;
}

/** Writes a computed value to memory: rows put together for a product, mostly. */
export function elementwise({ value, dtype, elements, out, label }: ElementwiseOp): KernelCall {
  const entry = new KernelEntry("elementwise");
  const pointer = entry.buffer("out", out, cudaTypes[dtype], "write");
  const count = entry.i32("elements", elements);
  const element = value(entry);
  return entry.finish({
    name: `elementwise_${dtype}`,
    comment: "Element by element.",
    includes: ["kernels/elementwise/elementwise.cuh"],
    config: "",
    body: `elementwise(${pointer}, ${count}, [=](int i) { return ${element("i")}; });`,
    threads,
    grid: [Math.ceil(elements / threads), 1, 1],
    label,
    traffic: {
      weightBytes: 0,
      readBytes: elements * byteSize(dtype),
      writtenBytes: elements * byteSize(dtype),
      flops: 0,
    },
  });
}
