// What the blocks of a cluster do with the parts of the inputs they have summed: each reads a share of
// the rows from all of them, in shared memory, and runs the epilogue on it.
#pragma once
#include "kernels/linear/finish.cuh"
#include "prelude/async-copy.cuh"

// Each block's sums are in its tiles. The blocks of a place are `stride` ranks apart in the cluster, in
// the order of the parts they have.
template <typename Config, typename Final, typename Epilogue>
DEVICE void finish_cluster(const BlockTiles<Config>& tiles, const Place& block, const Final& final,
                           const Epilogue& epilogue, int stride = 1);

#if __CUDA_ARCH__ >= 900
template <typename Config, typename Final, typename Epilogue>
DEVICE void finish_cluster(const BlockTiles<Config>& tiles, const Place& block, const Final& final,
                           const Epilogue& epilogue, int stride) {
  using OneTile = typename BlockTiles<Config>::OneTile;
  constexpr int kSplit = Config::kSplit;
  constexpr int kRowValues = Config::kWeights * BlockTiles<Config>::kOutputs;
  constexpr int kRowVectors = kRowValues / 4;
  cluster_sync();
  const u32 first_rank = cluster_rank() - blockIdx.y * stride;
  const int share = (block.rows + kSplit - 1) / kSplit;
  const int first_row = static_cast<int>(blockIdx.y) * share;
  const int rows = min(share, block.rows - first_row);
#pragma unroll 2
  for (int i = threadIdx.x; i < rows * kRowVectors; i += blockDim.x) {
    const int row = first_row + i / kRowVectors;
    const int weight = i % kRowVectors * 4 / BlockTiles<Config>::kOutputs;
    const int output = i % kRowVectors * 4 % BlockTiles<Config>::kOutputs;
    float* const own = &tiles.at(0, weight, row, output);
    Vec<float, 4> parts[kSplit];
#pragma unroll
    for (int rank = 0; rank < kSplit; rank++) parts[rank] = cluster_load_4(cluster_address(shared_address(own), first_rank + rank * stride));
    Vec<float, 4> sum = parts[0];
#pragma unroll
    for (int rank = 1; rank < kSplit; rank++) {
#pragma unroll
      for (int j = 0; j < 4; j++) sum[j] += parts[rank][j];
    }
#pragma unroll
    for (int j = 0; j < 4; j++) sum[j] = final(sum[j], weight, row, output + j);
    store(own, sum);
  }
  cluster_arrive_relaxed();  // Nothing more of other blocks is read here.
  __syncthreads();
  if (rows > 0) {
    Place place = block;
    place.first_row += first_row;
    place.rows = rows;
    finish_tiles<Config>(BlockTiles<Config>{tiles.data + first_row * OneTile::kStride}, place, epilogue);
  }
  cluster_wait();  // Others may still read this block's sums.
}
#endif
