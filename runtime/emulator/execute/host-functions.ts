/** Scalar functions kernels call into JavaScript for: too rare to be worth WebAssembly. */
import { fp8Decode, fp8Encode } from "./fp8.ts";

const scratch = new DataView(new ArrayBuffer(8));

function toF16Bits(value: number): number {
  // Every 8-bit float is exact in f16; only the exponent needs moving.
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fff;
  if (magnitude === 0x7f800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000) >>> 13);
  return sign | Math.abs(value * 2 ** 24);
}

/** a·b + c rounded once, with big integers: for machines whose multiply-add is not fused. */
export function fmaF64(a: number, b: number, c: number): number {
  const product = a * b;
  if (!Number.isFinite(product) || !Number.isFinite(c) || product === 0 || c === 0) {
    // An overflowing product may still come back into range only if c has its size: IEEE says no.
    return product + c;
  }
  const [ma, ea] = decompose(a);
  const [mb, eb] = decompose(b);
  const [mc, ec] = decompose(c);
  const exponent = Math.min(ea + eb, ec);
  const sum = ((ma * mb) << BigInt(ea + eb - exponent)) + (mc << BigInt(ec - exponent));
  return roundBig(sum, exponent);
}

function decompose(value: number): readonly [bigint, number] {
  scratch.setFloat64(0, value);
  const bits = scratch.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  return [bits >> 63n ? -mantissa : mantissa, Math.max(exponent, 1) - 1075];
}

function roundBig(value: bigint, exponent: number): number {
  if (value === 0n) return 0;
  const magnitude = value < 0n ? -value : value;
  const length = magnitude.toString(2).length;
  const drop = Math.max(length - 53, -1074 - exponent, 0);
  let kept = magnitude >> BigInt(drop);
  const rest = magnitude - (kept << BigInt(drop));
  const half = drop === 0 ? 1n : 1n << BigInt(drop - 1);
  if (drop > 0 && (rest > half || (rest === half && (kept & 1n) === 1n))) kept++;
  const scale = exponent + drop;
  // Two steps keep the power of two in range.
  const result = Number(kept) * 2 ** Math.floor(scale / 2) * 2 ** (scale - Math.floor(scale / 2));
  return value < 0n ? -result : result;
}

export const HOST_FUNCTIONS = {
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  fmaF64,
  toFp8: (value: number, format: number) => fp8Encode(value, format === 0 ? "e4m3" : "e5m2"),
  fp8PairToF16x2: (pair: number, format: number) => {
    const name = format === 0 ? "e4m3" : "e5m2";
    const low = toF16Bits(fp8Decode(pair & 0xff, name));
    return low | (toF16Bits(fp8Decode((pair >>> 8) & 0xff, name)) << 16);
  },
};
