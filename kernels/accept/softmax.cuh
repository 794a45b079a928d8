// Softmax weights as integers: their sums are the same in whatever order threads add them, so that
// atomics, scans and searches by mass need no fixed order.
#pragma once
#include "prelude/types.cuh"

// Bits of the fraction with which a vocabulary's weights, 1 at most, add up to 2^62 at most.
DEVICE constexpr int weight_bits(int vocabulary) {
  int bits = 62;
  for (long long size = 1; size < vocabulary; size *= 2) bits--;
  return bits;
}

// exp((logit - largest) / temperature) · 2^BITS, to 2e-9 of itself (and half a unit). Float and
// integer arithmetic only, the same bits on every device: double is 64 times slower on some.
template <int BITS>
struct Softmax {
  static_assert(BITS >= 33 && BITS <= 62, "a vocabulary of at most 2^29");
  static constexpr int kBits = BITS;
  static constexpr u64 kOne = 1ull << BITS;
  // From here on weights round to 0.
  static constexpr float kPowers = BITS < 60 ? BITS + 2 : 62;
  float largest;
  // log2(e) / temperature as the sum of two floats.
  float scale, scale_low;

  DEVICE Softmax(float largest_logit, float temperature) : largest(largest_logit) {
    const double exact = 1.4426950408889634 / static_cast<double>(temperature);
    scale = static_cast<float>(exact);
    scale_low = static_cast<float>(exact - static_cast<double>(scale));
  }

  // Powers of two below 1, at most kPowers, from which on weights are below `least`.
  DEVICE static float powers_above(u64 least) {
    return fminf(kPowers, static_cast<float>(BITS + 2 - (least == 0 ? 0 : 63 - __clzll(static_cast<i64>(least)))));
  }

  // Of NaN it is 0. Weights are below kOne for all but the largest, so that thresholds of 1 hold. From
  // `powers` below 1 on, about, it may be 0: no more than kPowers.
  DEVICE u64 weight(float logit, float powers = kPowers) const {
    // largest - logit = distance + rest, exactly.
    const float distance = largest - logit;
    const float y = distance * scale;
    // Infinities differ by NaN from each other.
    if (!(y < powers)) return logit == largest ? kOne : 0;
    const float back = distance + logit;
    const float rest = (largest - back) - (logit - (back - distance));
    const float low = fmaf(distance, scale, -y) + fmaf(distance, scale_low, rest * scale);
    // y + low in 32.32 bits. Additions of 2^23 and 1.5 · 2^23 leave whole numbers in the low bits,
    // rounded down and to nearest: four times as fast as conversions. |low| is below 2^-17.
    const float whole = __fadd_rd(y, 0x1p23f);
    const u32 fraction = __float2uint_rz((y - (whole - 0x1p23f)) * 0x1p32f);
    const int correction = static_cast<int>(__float_as_uint(fmaf(low, 0x1p32f, 0x1.8p23f)) - 0x4b400000u);
    const u64 fixed = (static_cast<u64>(__float_as_uint(whole) - 0x4b000000u) << 32 | fraction) +
                      static_cast<u64>(static_cast<i64>(correction));
    // 2^-fixed = 2^-n · 2^g with 0 <= g < 1 in 32 bits; 2^g - 1 is a polynomial without constant.
    const u64 negated = 0 - fixed;
    const u32 g = static_cast<u32>(negated);
    const int n = -static_cast<int>(negated >> 32);
    u32 sum = 0x15bd3u;
    sum = __umulhi(sum, g) + 0x99317u;
    sum = __umulhi(sum, g) + 0x57bf1au;
    sum = __umulhi(sum, g) + 0x2763464u;
    sum = __umulhi(sum, g) + 0xe3589f8u;
    sum = __umulhi(sum, g) + 0x3d7f7ba6u;
    sum = __umulhi(sum, g) + 0xb17217f9u;
    const u64 scaled = (1ull << 32 | __umulhi(sum, g)) << (BITS - 32);
    const u64 rounded = ((scaled >> (n - 1 & 63)) + 1) >> 1;
    return n > 0 ? rounded : logit == largest ? kOne : kOne - 1;
  }
};
