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
  static_assert(BITS >= 32 && BITS <= 62, "a vocabulary of at most 2^30");
  static constexpr u64 kOne = 1ull << BITS;
  float largest;
  // log2(e) / temperature as the sum of two floats.
  float scale, scale_low;

  DEVICE Softmax(float largest_logit, float temperature) : largest(largest_logit) {
    const double exact = 1.4426950408889634 / static_cast<double>(temperature);
    scale = static_cast<float>(exact);
    scale_low = static_cast<float>(exact - static_cast<double>(scale));
  }

  // Logits are not NaN. Weights are below kOne for all but the largest, so that thresholds of 1 hold.
  DEVICE u64 weight(float logit) const {
    if (logit == largest) return kOne;
    // largest - logit = distance + rest, exactly.
    const float distance = largest - logit;
    const float back = distance + logit;
    const float rest = (largest - back) - (logit - (back - distance));
    // Powers of two below the largest: y = power + rest of the product.
    const float power = distance * scale;
    if (!(power < 62.0f)) return 0;
    const float low = fmaf(distance, scale, -power) + fmaf(distance, scale_low, rest * scale);
    const float whole = floorf(power);
    const i64 y = (static_cast<i64>(whole) << 32) + static_cast<i64>(__float2uint_rz((power - whole) * 0x1p32f)) +
                  __float2int_rn(low * 0x1p32f);
    if (y <= 0) return kOne - 1;
    // 2^-y = 2^-n · 2^g with 0 <= g < 1 in 32 bits; 2^g - 1 is a polynomial without constant.
    const u64 negated = static_cast<u64>(-y);
    const u32 g = static_cast<u32>(negated);
    const int n = -static_cast<int>(static_cast<i64>(negated) >> 32);
    u32 sum = 0x15bd3u;
    sum = __umulhi(sum, g) + 0x99317u;
    sum = __umulhi(sum, g) + 0x57bf1au;
    sum = __umulhi(sum, g) + 0x2763464u;
    sum = __umulhi(sum, g) + 0xe3589f8u;
    sum = __umulhi(sum, g) + 0x3d7f7ba6u;
    sum = __umulhi(sum, g) + 0xb17217f9u;
    const u64 scaled = ((1ull << 32) + __umulhi(sum, g)) << (BITS - 32);
    const u64 rounded = (scaled + (1ull << (n - 1))) >> n;
    return rounded < kOne ? rounded : kOne - 1;
  }
};
