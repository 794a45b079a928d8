// Conversions between storage types and float. All round to nearest, ties to even; fp8 saturates to
// its largest finite value, as the hardware's `satfinite` does.
#pragma once
#include "prelude/types.cuh"

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return __uint_as_float(static_cast<u32>(x.bits) << 16); }
DEVICE float to_float(f16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}
DEVICE float to_float(e5m2 x) { return to_float(f16{static_cast<u16>(x.bits << 8)}); }
// The fields moved to their places in a float are the value times 2^-120, subnormals included.
DEVICE float to_float(e4m3 x) {
  const u32 magnitude = x.bits & 0x7fu;
  const float scaled = __uint_as_float(magnitude << 20) * 0x1p120f;
  const float value = magnitude == 0x7fu ? __uint_as_float(0x7fffffffu) : scaled;
  return x.bits & 0x80u ? -value : value;
}

template <typename T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) { return x; }
template <>
DEVICE bf16 from_float<bf16>(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
template <>
DEVICE f16 from_float<f16>(float x) {
  f16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
// In integers, so that it is the same on architectures with and without fp8 instructions.
template <>
DEVICE e4m3 from_float<e4m3>(float x) {
  const u32 bits = __float_as_uint(x);
  const u32 sign = (bits >> 24) & 0x80u;
  const u32 magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return e4m3{static_cast<u8>(sign | 0x7fu)};  // NaN
  if (magnitude >= 0x43e80000u) return e4m3{static_cast<u8>(sign | 0x7eu)}; // 464 and up: 448
  u32 code;
  if (magnitude < 0x3c800000u) {  // below 2^-6: a multiple of 2^-9
    code = static_cast<u32>(__float2int_rn(__uint_as_float(magnitude) * 512.0f));
  } else {
    code = ((magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20) - (120u << 3);
  }
  return e4m3{static_cast<u8>(sign | code)};
}

// A vector of floats in a storage type.
template <typename T, int N>
DEVICE Vec<T, N> rounded(const Vec<float, N>& x) {
  Vec<T, N> y;
#pragma unroll
  for (int i = 0; i < N; i++) y[i] = from_float<T>(x[i]);
  return y;
}

// Two values in one register, the lower half first: the layout of mma fragments.
DEVICE u32 pack_bf16(float low, float high) {
  u32 y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
DEVICE u32 pack_f16(float low, float high) {
  u32 y;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
// The nearest value with the 10 mantissa bits of tf32, as mma takes it.
DEVICE u32 to_tf32(float x) {
  u32 y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}
