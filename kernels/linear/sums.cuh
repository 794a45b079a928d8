// Accumulators of a warp's products: M tiles of outputs, N of tokens, four values of each in a lane.
#pragma once
#include "kernels/linear/cluster.cuh"
#include "kernels/linear/finish.cuh"

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

// What follows the main loop: sums become final values in the block's tiles, which lie where the ring
// was, and the epilogue's. `loop` says which of the tiles a warp's sums are; `group` are the warps'
// along the inputs; blocks of a place are `stride` ranks apart in a cluster.
template <typename Config, typename Loop, int M, int N, typename Bias, typename Epilogue>
DEVICE void finish_sums(const Loop& loop, const float (&sums)[M][N][4], int group, unsigned char* ring,
                        const float* scales, const Bias& bias, const Epilogue& epilogue, int stride = 1) {
  __syncthreads();  // Nobody reads the ring any more; scales are there.
  const BlockTiles<Config> tiles{reinterpret_cast<float*>(ring)};
  const Finish<Config, Bias> finish{scales, loop.place, bias};
  constexpr bool kComplete = Config::kWarpsK == 1 && !Config::kCluster;
#pragma unroll
  for (int m = 0; m < M; m++) {
    if (!loop.has_tile(m)) continue;
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int output = loop.output_of(m) + loop.lane / 4 + i / 2 * 8;
        const int row = loop.row_of(n) + loop.lane % 4 * 2 + i % 2;
        const int weight = loop.weight_of(m);
        const float sum = sums[m][n][i];
        tiles.at(group, weight, row, output) = kComplete ? finish(sum, weight, row, output) : sum;
      }
    }
  }
  if constexpr (Config::kCluster) {
    finish_cluster<Config>(tiles, loop.place, finish, epilogue, stride);
  } else {
    __syncthreads();
    if constexpr (Config::kWarpsK > 1) {
      sum_groups<Config>(tiles, loop.place, finish);
      __syncthreads();
    }
    finish_tiles<Config>(tiles, loop.place, epilogue);
  }
}
