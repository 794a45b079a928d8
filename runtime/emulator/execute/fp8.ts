/** The 8-bit float formats, bit by bit. */

export type Fp8 = "e4m3" | "e5m2";

const FORMATS = {
  e4m3: { mantissa: 3, bias: 7, largest: 448, nan: 0x7f },
  e5m2: { mantissa: 2, bias: 15, largest: 57344, nan: 0x7f },
} as const;

/** The value of a code. e4m3 has no infinities; e5m2 is the upper byte of an f16. */
export function fp8Decode(code: number, format: Fp8): number {
  const { mantissa, bias } = FORMATS[format];
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code & 0x7f) >> mantissa;
  const fraction = code & (2 ** mantissa - 1);
  if (format === "e4m3" && (code & 0x7f) === 0x7f) return Number.NaN;
  if (format === "e5m2" && exponent === 31) {
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - mantissa);
  return sign * (1 + fraction / 2 ** mantissa) * 2 ** (exponent - bias);
}

/** Nearest code, ties to even; what is too large becomes the largest finite value (satfinite). */
export function fp8Encode(value: number, format: Fp8): number {
  const { mantissa, bias, largest, nan } = FORMATS[format];
  if (Number.isNaN(value)) return nan;
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const magnitude = Math.abs(value);
  const exponent = Math.max(Math.floor(Math.log2(magnitude || 2 ** -1000)), 1 - bias);
  const step = 2 ** (exponent - mantissa);
  const units = magnitude / step;
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  if (rounded * step >= largest) return sign | codeOf(largest, mantissa, bias);
  return sign | codeOf(rounded * step, mantissa, bias);
}

/** Code of a value that is exactly representable and positive. */
function codeOf(value: number, mantissa: number, bias: number): number {
  if (value === 0) return 0;
  const exponent = Math.max(Math.floor(Math.log2(value)), 1 - bias);
  const units = value / 2 ** (exponent - mantissa);
  if (units < 2 ** mantissa) return units;
  return ((exponent + bias) << mantissa) | (units - 2 ** mantissa);
}
