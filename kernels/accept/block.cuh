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
  static_assert(WARPS <= 32, "one lane per warp");
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const u64 inclusive = warp_scan(x);
  if (lane == 31) warps[warp] = inclusive;
  __syncthreads();
  // Every warp adds up all of them: cheaper than a second barrier.
  const u64 sums = warp_scan(lane < WARPS ? warps[lane] : 0);
  const u64 through = __shfl_sync(0xffffffffu, sums, warp);
  const Scan scan{through - warps[warp] + inclusive - x, __shfl_sync(0xffffffffu, sums, 31)};
  __syncthreads();
  return scan;
}
