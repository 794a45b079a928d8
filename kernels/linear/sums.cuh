// Accumulators of a warp's products: M tiles of outputs, N of tokens, four values of each in a lane.
#pragma once
#include "prelude/types.cuh"

template <int M, int N>
DEVICE void clear_sums(float (&sums)[M][N][4]) {
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) sums[m][n][i] = 0.0f;
    }
  }
}
