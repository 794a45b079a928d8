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
 * the type.
 */
export function randomFloats(
  dtype: FloatDType,
  elements: number,
  seed: number,
  shape: (normal: number) => number,
): Uint8Array {
  standard ??= normals(tableSize, randomWords(1));
  const table = encodeFloats(dtype, standard.map(shape));
  return byteSize(dtype) === 2
    ? repeated(new Uint16Array(table.buffer), new Uint16Array(elements), seed)
    : repeated(new Uint32Array(table.buffer), new Uint32Array(elements), seed);
}

/** A prime, so that no two rows of a tensor hold the same numbers. */
const period = 1_048_583;

/** Fills `out` with random elements of a table, the same ones again after a period. */
function repeated<Words extends Uint16Array | Uint32Array>(
  table: Words,
  out: Words,
  seed: number,
): Uint8Array {
  const next = randomWords(seed);
  const first = Math.min(out.length, period);
  for (let i = 0; i < first; i++) out[i] = table[next() % tableSize] ?? 0;
  for (let done = first; done > 0 && done < out.length; done *= 2) out.copyWithin(done, 0, done);
  return new Uint8Array(out.buffer);
}

/** Bytes of `elements` random i32 from 0 to below `limit`. */
export function randomIntegers(elements: number, seed: number, limit: number): Uint8Array {
  const next = randomWords(seed);
  return new Uint8Array(Int32Array.from({ length: elements }, () => next() % limit).buffer);
}
