// Linear layers on tensor cores: x [rows, kInputs] times packed weights [outputs, kInputs], both of
// one 16-bit type, summed in float.
#pragma once
#include "kernels/linear/tensor-cores.cuh"

// Config:
//   Weight                      bf16 or f16
//   kInputs
//   kWeights, kMerged, kPointers  weights side by side (the same outputs of each) or one after
//                               another; one of the two is 1, kPointers the other
//   outputs(weight)             of merged weight `weight`; side by side all have outputs(0)
//   kTileOutputs, kBlockTiles   outputs of a tile (of each weight), tiles of a block
//   kRows                       rows of a block
//   kParts, kSplit              parts of the inputs (chunks * part / kParts on); blocks they are shared by
//   kWarpsOutputs, kWarpsRows, kWarpsK
//   kStages                     of the ring
//   kBulk                       weights are copied in bulk; see tensor-cores.cuh
//   kCluster                    the kSplit blocks of a place are a cluster (compute capability 9.0)
//   kBias, kScaleParts, kScaleWidth, kScaleEps
// Grid: row tiles, kSplit, tiles / kBlockTiles. Row tiles of the same weights are neighbours, so that
// what the first fetches is in L2 for the others.

// Sums of the parts that blocks of the same place have, added in ascending order by the block that
// comes last: true there. Partials go through memory as the registers hold them.
template <typename Config>
DEVICE bool sum_splits(const TensorCores<Config>& loop, float* workspace, int* counters,
                       typename TensorCores<Config>::Accumulators& sums) {
  using Shape = TensorCoreShape<Config>;
  __shared__ int arrived;
  constexpr int kFragments = Shape::kM * Shape::kN;
  const size_t block = static_cast<size_t>(blockIdx.z) * gridDim.x + blockIdx.x;
  float4* const partials = reinterpret_cast<float4*>(workspace) + block * Config::kSplit * kFragments * Shape::kThreads;
  const auto fragment = [&](int split, int m, int n) {
    return partials + ((split * Shape::kM + m) * Shape::kN + n) * Shape::kThreads + threadIdx.x;
  };
#pragma unroll
  for (int n = 0; n < Shape::kN; n++) {
    if (loop.row_of(n) < loop.place.rows) {
#pragma unroll
      for (int m = 0; m < Shape::kM; m++) {
        __stcg(fragment(blockIdx.y, m, n), make_float4(sums[m][n][0], sums[m][n][1], sums[m][n][2], sums[m][n][3]));
      }
    }
  }
  device_fence();
  __syncthreads();
  if (threadIdx.x == 0) {
    arrived = atomicAdd(counters + block, 1);
    if (arrived == Config::kSplit - 1) counters[block] = 0;
  }
  __syncthreads();
  if (arrived != Config::kSplit - 1) return false;
  device_fence();
  // As many loads at a time as 64 registers hold: each batch waits for L2 once.
  constexpr int kBatch = Shape::kM * Config::kSplit >= 16 ? 1 : 16 / (Shape::kM * Config::kSplit);
#pragma unroll
  for (int first = 0; first < Shape::kN; first += kBatch) {
    constexpr int kFragmentsAtOnce = kBatch * Shape::kM;
    float4 parts[kFragmentsAtOnce][Config::kSplit];
#pragma unroll
    for (int i = 0; i < kFragmentsAtOnce; i++) {
      const int n = first + i / Shape::kM;
      if (n < Shape::kN && loop.row_of(n) < loop.place.rows) {
#pragma unroll
        for (int split = 0; split < Config::kSplit; split++) parts[i][split] = __ldcg(fragment(split, i % Shape::kM, n));
      }
    }
#pragma unroll
    for (int i = 0; i < kFragmentsAtOnce; i++) {
      const int n = first + i / Shape::kM;
      if (n < Shape::kN && loop.row_of(n) < loop.place.rows) {
        float4 sum = parts[i][0];
#pragma unroll
        for (int split = 1; split < Config::kSplit; split++) {
          sum.x += parts[i][split].x;
          sum.y += parts[i][split].y;
          sum.z += parts[i][split].z;
          sum.w += parts[i][split].w;
        }
        float (&to)[4] = sums[i % Shape::kM][n];
        to[0] = sum.x;
        to[1] = sum.y;
        to[2] = sum.z;
        to[3] = sum.w;
      }
    }
  }
  return true;
}

// The block's part of the main loop.
template <typename Config>
DEVICE TensorCores<Config> tensor_cores(const Table<const typename Config::Weight, Config::kPointers>& weights,
                                        const typename Config::Weight* x, int rows, unsigned char* shared) {
  using Shape = TensorCoreShape<Config>;
  const int warp = threadIdx.x / 32;
  const int group = Config::kWarpsK == 1 ? 0 : warp / Shape::kGroupWarps;
  return {weights,
          x,
          place_of<Config>(blockIdx.z * Config::kBlockTiles, Config::kBlockTiles, blockIdx.x, rows),
          shared_address(shared) + Shape::kRingOffset + group * (Shape::kStageBytes * Config::kStages),
          shared_address(shared) + group * (8 * Config::kStages),
          group,
          warp % Shape::kGroupWarps,
          static_cast<int>(threadIdx.x % 32)};
}

// Before the kernel waits for its inputs: with kBulk, weights are on their way.
template <typename Config>
DEVICE void start_weights(const Table<const typename Config::Weight, Config::kPointers>& weights, int rows) {
  extern __shared__ __align__(16) unsigned char shared[];
  const auto loop = tensor_cores<Config>(weights, nullptr, rows, shared);
  loop.start(Config::kSplit > 1 ? blockIdx.y : loop.group);
}

template <typename Config, typename Bias, typename Epilogue>
DEVICE void linear_tensor_cores(const Table<const typename Config::Weight, Config::kPointers>& weights,
                                const typename Config::Weight* x, int rows, const float* scale_sums, float* workspace,
                                int* counters, const Bias& bias, const Epilogue& epilogue) {
  using Shape = TensorCoreShape<Config>;
  extern __shared__ __align__(16) unsigned char shared[];
  const TensorCores<Config> loop = tensor_cores<Config>(weights, x, rows, shared);
  const int group = loop.group;
  float* const scales = reinterpret_cast<float*>(shared + Shape::kBarrierBytes);
  unsigned char* const ring = shared + Shape::kRingOffset;
  typename TensorCores<Config>::Accumulators sums;
  loop.run(ring + group * (Shape::kStageBytes * Config::kStages), Config::kSplit > 1 ? blockIdx.y : group,
           [&] { row_scales<Config>(scale_sums, loop.place, scales, blockDim.x / 32); }, sums);
  if constexpr (Config::kSplit > 1 && !Config::kCluster) {
    if (!sum_splits<Config>(loop, workspace, counters, sums)) return;
  }
  finish_sums<Config>(loop, sums, group, ring, scales, bias, epilogue);
}
