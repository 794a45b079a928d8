import { byteSize, type DType, isFloat } from "../../ir/dtype.ts";
import { decodeFloats } from "../../ir/float-formats.ts";

/** Where two results of a kernel stand to each other, element by element. */
export interface BufferComparison {
  /** Name of the kernel's parameter. */
  readonly name: string;
  /** The value's label in the graph. */
  readonly label: string;
  readonly dtype: DType | "bytes";
  readonly elements: number;
  /** Elements whose bits differ. */
  readonly differing: number;
  /** Index of the first of them. */
  readonly first?: number | undefined;
  /**
   * The largest difference over the largest value of the reference, both in magnitude. Infinite where
   * one of two different elements is no finite number; absent where nothing differs, and for integers.
   */
  readonly relative?: number | undefined;
}

/** @param reference bytes of the same length as `edited`. */
export function compareBuffer(
  about: Pick<BufferComparison, "name" | "label" | "dtype">,
  edited: Uint8Array,
  reference: Uint8Array,
): BufferComparison {
  const { dtype } = about;
  const width = dtype === "bytes" ? 1 : byteSize(dtype);
  const elements = Math.floor(reference.length / width);
  if (Buffer.compare(edited, reference) === 0) return { ...about, elements, differing: 0 };
  const different: number[] = [];
  for (let i = 0; i < elements; i++) {
    for (let byte = i * width; byte < (i + 1) * width; byte++) {
      if (edited[byte] === reference[byte]) continue;
      different.push(i);
      break;
    }
  }
  const result = { ...about, elements, differing: different.length, first: different[0] };
  if (dtype === "bytes" || !isFloat(dtype)) return result;
  const whole = elements * width;
  const [a, b] = [edited, reference].map((bytes) => decodeFloats(dtype, bytes.subarray(0, whole)));
  return { ...result, relative: relativeDifference(different, a ?? [], b ?? []) };
}

function relativeDifference(
  different: readonly number[],
  edited: ArrayLike<number>,
  reference: ArrayLike<number>,
): number {
  let largest = 0;
  for (const i of different) {
    const difference = Math.abs((edited[i] ?? Number.NaN) - (reference[i] ?? Number.NaN));
    if (!Number.isFinite(difference)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, difference);
  }
  let scale = 0;
  for (let i = 0; i < reference.length; i++) {
    const size = Math.abs(reference[i] ?? 0);
    if (Number.isFinite(size)) scale = Math.max(scale, size);
  }
  return largest === 0 ? 0 : largest / scale;
}

/** With a tolerance of 0 only the same bits will do; integers are never nearly right. */
export function isWithin({ differing, relative }: BufferComparison, tolerance: number): boolean {
  return differing === 0 || (tolerance > 0 && relative !== undefined && relative <= tolerance);
}
