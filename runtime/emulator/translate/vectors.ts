/** Four lanes at a time: the vector types of the translator and their rearrangements. */
import { type Expr, i8x16, i32x4, i64x2 } from "../../wasm/wasm.ts";

export type Vec = Expr<"v128">;
/** Four 64-bit lanes: the first two, the last two. */
export interface Wide {
  readonly low: Vec;
  readonly high: Vec;
}

export const splat32 = (value: number): Vec => i32x4.const(value, value, value, value);
export const splat64 = (value: bigint): Vec => i64x2.const(value, value);

const LOW_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const HIGH_WORDS = LOW_WORDS.map((byte) => byte + 4);

/** The low 32 bits of four 64-bit lanes. */
export function lowWords({ low, high }: Wide): Vec {
  return i8x16.shuffle(low, high, LOW_WORDS);
}

export function highWords({ low, high }: Wide): Vec {
  return i8x16.shuffle(low, high, HIGH_WORDS);
}

/** Lane masks of 32-bit lanes 0, 1 as masks of 64-bit lanes. */
export function widenLow(mask: Vec): Vec {
  return i64x2.extendLowI32x4S(mask);
}

export function widenHigh(mask: Vec): Vec {
  return i64x2.extendHighI32x4S(mask);
}
