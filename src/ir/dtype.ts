/** Element types of tensors in the IR. `u64` holds attention masks, 64 tree nodes to a word. */
export const dtypes = ["f32", "f16", "bf16", "i32", "u64"] as const;
export type DType = (typeof dtypes)[number];

/** Types a weight may be stored in. */
export type FloatDType = Extract<DType, "f32" | "f16" | "bf16">;

const sizes: Record<DType, number> = { f32: 4, f16: 2, bf16: 2, i32: 4, u64: 8 };

/** Size of one element in bytes. */
export function byteSize(dtype: DType): number {
  return sizes[dtype];
}

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

export function isDType(text: string): text is DType {
  return (dtypes as readonly string[]).includes(text);
}
