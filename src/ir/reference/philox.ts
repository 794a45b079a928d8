/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011). A pure function of key and counter, so every executor, with any number of
 * rows in flight, draws the same number for the same seed and position.
 */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** A 64-bit seed: one unsigned integer below 2⁶⁴, or its words `[low, high]` as u32. */
export type Seed = bigint | readonly [low: number, high: number];

export type Words4 = readonly [number, number, number, number];

/**
 * One block: four u32 words for a key (two u32) and a counter (four u32).
 * Known-answer vectors of the authors' Random123 library hold.
 */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/**
 * The uniform number in [0, 1) with which the token at `position` is drawn.
 *
 * Key = (seed low, seed high); counter = (position low, position high, 0, 0), where `position` is
 * the absolute position (0-based, prompt included) the drawn token will take. With w0, w1 the first
 * two words of the block: u = ((w0 >> 5) · 2²⁶ + (w1 >> 6)) / 2⁵³, the usual 53-bit fraction.
 * @param position an integer from 0 to 2⁵³ - 1.
 */
export function uniform(seed: Seed, position: number): number {
  const low = typeof seed === "bigint" ? Number(seed & 0xffff_ffffn) : seed[0];
  const high = typeof seed === "bigint" ? Number((seed >> 32n) & 0xffff_ffffn) : seed[1];
  const [w0, w1] = philox4x32(
    [position >>> 0, Math.floor(position / 2 ** 32) >>> 0, 0, 0],
    [low, high],
  );
  return ((w0 >>> 5) * 2 ** 26 + (w1 >>> 6)) / 2 ** 53;
}

/** High word of the 64-bit product, by 16-bit halves: a double holds no 64-bit product. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) | 0;
}
