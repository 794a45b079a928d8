// Rows computed element by element, one block per row, where something is asked of whole rows.
#pragma once
#include "prelude/memory.cuh"

// `each(column)` is called once for every element of the block's row, stores what follows from it
// and returns a float; the sum of the squares of this thread's is returned.
template <int WIDTH, int THREADS, typename Each>
DEVICE float rows(const Each& each) {
  constexpr int kSteps = (WIDTH + THREADS - 1) / THREADS;
  float sum = 0.0f;
#pragma unroll 4
  for (int step = 0; step < kSteps; step++) {
    const int column = step * THREADS + static_cast<int>(threadIdx.x);
    if (column >= WIDTH) continue;
    const float value = each(column);
    sum = fmaf(value, value, sum);
  }
  return sum;
}
