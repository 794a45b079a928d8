import { byteSize, type FloatDType } from "../../ir/dtype.ts";
import { encodeFloats } from "../../ir/float-formats.ts";

/** Distinct numbers a buffer is filled from: enough for any kernel, few enough to be made at once. */
const tableSize = 2 ** 16;

/** 32-bit words of a xorshift generator; a seed gives the same words everywhere. */
export function randomWords(seed: number): () => number {
  // Seeds next to each other must not begin alike.
  let state = Math.imul((seed | 0) + 0x6d2b79f5, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Numbers of a normal distribution (Box and Muller), mean 0, variance 1. */
function normals(count: number, next: () => number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

let standard: Float32Array | undefined;

/**
 * Bytes of `elements` random floats: what `shape` makes of normally distributed numbers, rounded to
 * the type. Large weights take a second for some hundred million elements.
 */
export function randomFloats(
  dtype: FloatDType,
  elements: number,
  seed: number,
  shape: (normal: number) => number,
): Uint8Array {
  standard ??= normals(tableSize, randomWords(1));
  const table = encodeFloats(dtype, standard.map(shape));
  const next = randomWords(seed);
  // The low bits of a xorshift are as good as the high ones.
  switch (byteSize(dtype)) {
    case 2: {
      const values = new Uint16Array(table.buffer);
      const out = new Uint16Array(elements);
      for (let i = 0; i < elements; i++) out[i] = values[next() & 0xffff] ?? 0;
      return new Uint8Array(out.buffer);
    }
    default: {
      const values = new Uint32Array(table.buffer);
      const out = new Uint32Array(elements);
      for (let i = 0; i < elements; i++) out[i] = values[next() & 0xffff] ?? 0;
      return new Uint8Array(out.buffer);
    }
  }
}

/** Bytes of `elements` random i32 from 0 to below `limit`. */
export function randomIntegers(elements: number, seed: number, limit: number): Uint8Array {
  const next = randomWords(seed);
  return new Uint8Array(Int32Array.from({ length: elements }, () => next() % limit).buffer);
}
