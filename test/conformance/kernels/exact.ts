/** Correctly rounded f32 arithmetic from big integers, in every rounding mode. */

export type Rounding = "rn" | "rz" | "rd" | "ru";

const scratch = new DataView(new ArrayBuffer(8));

/** value = mantissa · 2^exponent, exactly. */
function parts(value: number): readonly [bigint, number] {
  scratch.setFloat64(0, value);
  const bits = scratch.getBigUint64(0);
  const field = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = field === 0 ? fraction : fraction | (1n << 52n);
  return [bits >> 63n ? -mantissa : mantissa, Math.max(field, 1) - 1075];
}

/** mantissa · 2^exponent as the nearest f32 the mode allows. */
export function roundToF32(mantissa: bigint, exponent: number, mode: Rounding): number {
  if (mantissa === 0n) return 0;
  const negative = mantissa < 0n;
  const magnitude = negative ? -mantissa : mantissa;
  const drop = Math.max(magnitude.toString(2).length - 24, -149 - exponent);
  let kept = drop > 0 ? magnitude >> BigInt(drop) : magnitude << BigInt(-drop);
  const rest = drop > 0 ? magnitude - (kept << BigInt(drop)) : 0n;
  if (rest > 0n) {
    const half = 1n << BigInt(drop - 1);
    const away =
      mode === "rn"
        ? rest > half || (rest === half && (kept & 1n) === 1n)
        : mode === "rz"
          ? false
          : (mode === "rd") === negative;
    if (away) kept++;
  }
  const value = Number(kept) * 2 ** (exponent + drop);
  const limit = 2 ** 128;
  if (value >= limit) {
    const toInfinity = mode === "rn" || (mode !== "rz" && (mode === "rd") === negative);
    const overflow = toInfinity ? Number.POSITIVE_INFINITY : 3.4028234663852886e38;
    return negative ? -overflow : overflow;
  }
  return negative ? -value : value;
}

/** a · b + c with one rounding. */
export function fma(a: number, b: number, c: number, mode: Rounding): number {
  if (![a, b, c].every(Number.isFinite)) return a * b + c;
  const [ma, ea] = parts(a);
  const [mb, eb] = parts(b);
  const [mc, ec] = parts(c);
  const exponent = Math.min(ea + eb, ec);
  const sum = ((ma * mb) << BigInt(ea + eb - exponent)) + (mc << BigInt(ec - exponent));
  if (sum !== 0n) return roundToF32(sum, exponent, mode);
  // An exact zero keeps the sign its terms agree on; otherwise it is negative when rounding down.
  const product = a * b === 0 ? a * b : Math.sign(a) * Math.sign(b);
  const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0);
  if (product === 0 && c === 0) {
    if (isNegative(product) === isNegative(c)) return c;
    return mode === "rd" ? -0 : 0;
  }
  if (product === 0 || c === 0) return 0;
  return mode === "rd" ? -0 : 0;
}

/** An integer as f32. */
export function fromInt(value: bigint, mode: Rounding): number {
  return roundToF32(value, 0, mode);
}
