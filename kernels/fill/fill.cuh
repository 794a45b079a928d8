// Numbers for weights that come from no file: functions of a seed and an index, the same on every
// machine.
#pragma once
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

// A bijection of 32-bit words that lets every input bit change about half of the output bits: the
// finaliser of MurmurHash3 (Appleby, public domain).
DEVICE u32 mix(u32 x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ x >> 16;
}

// Nearly normal, mean 0 and variance 1: the sum of four bytes, less its mean 510, over its standard
// deviation sqrt((256² - 1) / 3). The sum is exact, so the number has one rounding.
DEVICE float normal(u32 seed, u32 index) {
  const u32 word = mix(mix(index) + seed);
  const int sum = (word & 0xffu) + (word >> 8 & 0xffu) + (word >> 16 & 0xffu) + (word >> 24);
  return static_cast<float>(sum - 510) * (1.0f / 147.801f);
}

// Elements first, first + 1, … of a weight: mean + scale * normal, kVector of them to a thread.
template <int kVector, typename T>
DEVICE void fill(T* destination, u32 first, int elements, u32 seed, float mean, float scale) {
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * kVector;
  if (at >= elements) return;
  Vec<float, kVector> values;
#pragma unroll
  for (int i = 0; i < kVector; i++) values[i] = mean + scale * normal(seed, first + at + i);
  const Vec<T, kVector> stored = rounded<T>(values);
  if (at + kVector <= elements) {
    store(destination + at, stored);
    return;
  }
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if (at + i < elements) destination[at + i] = stored[i];
  }
}
