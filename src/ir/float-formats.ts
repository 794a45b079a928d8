import type { FloatDType } from "./dtype.ts";

const scratch = new DataView(new ArrayBuffer(4));

/** The bf16 bits (upper half of an f32) of a number, rounded to nearest even. */
export function toBf16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBf16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The f16 bits of a number, rounded to nearest even; overflow gives infinity. */
export function toF16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  // Subnormal: adding 0.5 aligns the last f16 bit with the last f32 bit, so the FPU does the rounding.
  scratch.setUint32(0, magnitude);
  scratch.setFloat32(0, scratch.getFloat32(0) + 0.5);
  return sign | (scratch.getUint32(0) - 0x3f000000);
}

export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The nearest number the type can hold. */
export function roundTo(dtype: FloatDType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "f16":
      return fromF16(toF16(value));
    case "bf16":
      return fromBf16(toBf16(value));
    default:
      return dtype satisfies never;
  }
}

/** Little-endian elements of a float tensor as numbers. */
export function decodeFloats(dtype: FloatDType, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = dtype === "f32" ? 4 : 2;
  const out = new Float32Array(bytes.byteLength / width);
  for (let i = 0; i < out.length; i++) {
    switch (dtype) {
      case "f32":
        out[i] = view.getFloat32(4 * i, true);
        break;
      case "f16":
        out[i] = fromF16(view.getUint16(2 * i, true));
        break;
      case "bf16":
        out[i] = fromBf16(view.getUint16(2 * i, true));
        break;
      default:
        dtype satisfies never;
    }
  }
  return out;
}

/** Floats rounded into a storage type's bytes, little-endian. */
export function encodeFloats(dtype: FloatDType, values: Float32Array): Uint8Array {
  switch (dtype) {
    case "f32":
      return new Uint8Array(values.slice().buffer);
    case "f16":
      return halves(values, toF16);
    case "bf16":
      return halves(values, toBf16);
    default:
      return dtype satisfies never;
  }
}

/** A loop: `Uint16Array.from` would first make a list of the values, of millions of them. */
function halves(values: Float32Array, bitsOf: (value: number) => number): Uint8Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = bitsOf(values[i] ?? 0);
  return new Uint8Array(bits.buffer);
}
