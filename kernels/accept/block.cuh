// Sums of 64-bit integers over a warp and a block: exact, and so the same in any order.
#pragma once
#include "prelude/types.cuh"

DEVICE u64 warp_sum(u64 x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}
// The sum over this lane and those before it.
DEVICE u64 warp_scan(u64 x) {
#pragma unroll
  for (int offset = 1; offset < 32; offset <<= 1) {
    const u64 before = __shfl_up_sync(0xffffffffu, x, offset);
    if (static_cast<int>(threadIdx.x % 32) >= offset) x += before;
  }
  return x;
}

struct Scan {
  u64 before;  // the sum over the threads before this one
  u64 total;   // over all
};
// All threads of a block of 32 * WARPS call it; `warps` in shared memory is free again afterwards.
template <int WARPS>
DEVICE Scan block_scan(u64 x, u64 (&warps)[WARPS]) {
  const int warp = static_cast<int>(threadIdx.x / 32);
  const u64 inclusive = warp_scan(x);
  if (threadIdx.x % 32 == 31) warps[warp] = inclusive;
  __syncthreads();
  Scan scan{inclusive - x, 0};
#pragma unroll 1
  for (int w = 0; w < WARPS; w++) {
    if (w < warp) scan.before += warps[w];
    scan.total += warps[w];
  }
  __syncthreads();
  return scan;
}
