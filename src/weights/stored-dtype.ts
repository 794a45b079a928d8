/**
 * Element types a checkpoint may store, in the order the safetensors format ranks them (its
 * writer puts the highest first). Size in bytes.
 */
const sizes = {
  bool: 1,
  u8: 1,
  i8: 1,
  f8_e5m2: 1,
  f8_e4m3: 1,
  f8_e8m0: 1,
  i16: 2,
  u16: 2,
  f16: 2,
  bf16: 2,
  i32: 4,
  u32: 4,
  f32: 4,
  c64: 8,
  f64: 8,
  i64: 8,
  u64: 8,
} as const;

export type StoredDType = keyof typeof sizes;

export const storedDTypes = Object.keys(sizes) as readonly StoredDType[];

/** Size of one stored element in bytes. */
export function storedSize(dtype: StoredDType): number {
  return sizes[dtype];
}

export function isStoredDType(text: string): text is StoredDType {
  return Object.hasOwn(sizes, text);
}

/** Number of elements, or `undefined` past what a double counts exactly (and no file holds). */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const extent of shape) {
    count *= extent;
    if (count > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return count;
}
