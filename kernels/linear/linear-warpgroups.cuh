// Linear layers on Hopper's warpgroup products: x [rows, kInputs] times packed weights
// [outputs, kInputs], both of one 16-bit type, summed in float.
#pragma once
#include "kernels/linear/warpgroups.cuh"

// Config:
//   Weight                      bf16 or f16
//   kInputs                     a multiple of 8
//   kWeights, kMerged, kPointers, outputs(weight), kTileOutputs, kBlockTiles, kRows, kParts, kSplit,
//   kStages, kBias, kScaleParts, kScaleWidth, kScaleEps   as in linear-tensor-cores.cuh
//   kWarpgroups                 that multiply; a warp more copies
//   kClusterRows, kClusterOutputs   blocks of a cluster along rows and outputs, beside kSplit
//   kCluster                    kSplit > 1: its blocks add up in shared memory
//   kWhole                      every block has all its outputs, every warp a tile, every chunk all inputs
//   kWarpsK                     1
// Grid: row tiles, kSplit, tiles / kBlockTiles.

template <typename Config>
DEVICE Warpgroups<Config> warpgroups(const Table<const typename Config::Weight, Config::kPointers>& weights,
                                     const TensorMap& x, int rows, unsigned char* shared) {
  using Shape = WarpgroupShape<Config>;
  return {weights,
          x,
          place_of<Config>(blockIdx.z * Config::kBlockTiles, Config::kBlockTiles, blockIdx.x, rows),
          shared_address(shared) + Shape::kRingOffset,
          shared_address(shared),
          static_cast<int>(Config::kSplit > 1 ? blockIdx.y : 0),
          static_cast<int>(threadIdx.x / 32),
          static_cast<int>(threadIdx.x % 32)};
}

// Before the kernel waits for its inputs.
template <typename Config>
DEVICE void start_weights(const Table<const typename Config::Weight, Config::kPointers>& weights, const TensorMap& x,
                          int rows) {
  extern __shared__ __align__(1024) unsigned char shared[];
  warpgroups<Config>(weights, x, rows, shared).start();
}

template <typename Config, typename Bias, typename Epilogue>
DEVICE void linear_warpgroups(const Table<const typename Config::Weight, Config::kPointers>& weights,
                              const TensorMap& x, int rows, const float* scale_sums, const Bias& bias,
                              const Epilogue& epilogue) {
  using Shape = WarpgroupShape<Config>;
  extern __shared__ __align__(1024) unsigned char shared[];
  const Warpgroups<Config> loop = warpgroups<Config>(weights, x, rows, shared);
  float* const scales = reinterpret_cast<float*>(shared + Shape::kBarrierBytes);
  typename Warpgroups<Config>::Accumulators sums;
  loop.wait_start();
  if (loop.is_producer()) {
    if (loop.lane == 0) loop.produce();
    __syncwarp();
  } else {
    row_scales<Config>(scale_sums, loop.place, scales, Shape::kProducer);
    loop.consume(sums);
  }
  // Nothing of this block's is copied to others any more, nor arrives there.
  constexpr bool kArrives = Shape::kWriters > 1 && !Config::kCluster;
  if constexpr (kArrives) cluster_arrive_relaxed();

  finish_sums<Config>(loop, sums, 0, shared + Shape::kRingOffset, scales, bias, epilogue, Config::kClusterRows);
  if constexpr (kArrives) cluster_wait();
}
