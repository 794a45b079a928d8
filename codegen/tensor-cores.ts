import { byteSize } from "../src/ir/dtype.ts";
import type { TensorType } from "../src/ir/shape.ts";

/** Whether attention over such a cache [slots, groups, d] runs on tensor cores: 16-bit, whole k16 steps. */
export function onTensorCores({ dtype, shape }: TensorType): boolean {
  const headDim = Number(shape[2]);
  return byteSize(dtype) === 2 && headDim % 16 === 0 && headDim <= 256;
}
