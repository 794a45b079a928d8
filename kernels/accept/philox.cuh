// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011): a pure function of seed and position, so that a draw does not depend on how
// the text before it came about.
#pragma once
#include "prelude/types.cuh"

// The uniform number with which the token at `position` is drawn, times 2^53. Key: the seed's low
// and high word; counter: (position, 0, 0, 0).
DEVICE u64 philox_uniform(u64 seed, int position) {
  u32 c0 = static_cast<u32>(position), c1 = 0, c2 = 0, c3 = 0;
  u32 k0 = static_cast<u32>(seed), k1 = static_cast<u32>(seed >> 32);
#pragma unroll 1
  for (int round = 0; round < 10; round++) {
    const u64 a = static_cast<u64>(0xd2511f53u) * c0;
    const u64 b = static_cast<u64>(0xcd9e8d57u) * c2;
    c0 = static_cast<u32>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<u32>(b);
    c2 = static_cast<u32>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<u32>(a);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return (static_cast<u64>(c0 >> 5) << 26) + (c1 >> 6);
}
