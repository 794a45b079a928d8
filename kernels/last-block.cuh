// Blocks that leave the rest to whichever of them comes last.
#pragma once
#include "prelude/memory.cuh"

// True in all threads of the block that comes last of `expected`, which may then read what the
// others wrote before they came. Leaves the counter as it was at first: zero.
DEVICE bool arrives_last(int* counter, int expected) {
  __shared__ int before;
  device_fence();
  __syncthreads();
  if (threadIdx.x == 0) {
    before = atomicAdd(counter, 1);
    if (before == expected - 1) *counter = 0;
  }
  __syncthreads();
  device_fence();
  return before == expected - 1;
}
