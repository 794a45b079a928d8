// Linear layers in float: x [rows, kInputs] of floats times weights of any type, widened, on CUDA
// cores with fmaf.
#pragma once
#include "kernels/linear/finish.cuh"
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

// Four weights of one output and the inputs they belong to: what a lane multiplies at a time. A warp
// takes tiles of 16 outputs by 16 inputs; lane 4g + t has outputs g and g + 8 and four of the inputs.

// Row-major: lane t has inputs 4t to 4t + 3.
template <int kInputs>
struct RowMajorTile {
  DEVICE static int input(int t, int i) { return 4 * t + i; }
  // a[0] of output `output`, a[1] of the one 8 further; outputs past the last get the last's weights.
  DEVICE static void load_weights(const float* weights, int outputs, int output, int k_tile, int t, float (&a)[2][4]) {
    const int first = 16 * k_tile + 4 * t;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = min(output + 8 * half, outputs - 1);
      load_row(weights + static_cast<size_t>(row) * kInputs, first, a[half]);
    }
  }
  DEVICE static void load_inputs(const float* x, int k_tile, int t, float (&b)[4]) { load_row(x, 16 * k_tile + 4 * t, b); }

  DEVICE static void load_row(const float* row, int first, float (&value)[4]) {
    if constexpr (kInputs % 4 == 0) {
      Vec<float, 4> four = {};
      if (kInputs % 16 == 0 || first < kInputs) four = load<float, 4>(row + first);
#pragma unroll
      for (int i = 0; i < 4; i++) value[i] = four[i];
    } else {
#pragma unroll
      for (int i = 0; i < 4; i++) value[i] = first + i < kInputs ? row[first + i] : 0.0f;
    }
  }
};

// Packed (src/ir/weight-layout.ts): lane t has inputs 2t, 2t + 1, 2t + 8 and 2t + 9.
template <int kInputs>
struct PackedTile {
  template <typename T>
  DEVICE static void load_weights(const T* weights, int outputs, int output, int k_tile, int t, float (&a)[2][4]) {
    constexpr int kTiles = (kInputs + 15) / 16;
    const int row = min(output / 16, (outputs - 1) / 16);
    const int lane = output % 8 * 4 + t;
    const Vec<T, 8> eight = load_stream(weights + (static_cast<size_t>(row) * kTiles + k_tile) * 256 + lane * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      a[0][i] = to_float(eight[i / 2 * 4 + i % 2]);
      a[1][i] = to_float(eight[i / 2 * 4 + i % 2 + 2]);
    }
  }
  DEVICE static void load_inputs(const float* x, int k_tile, int t, float (&b)[4]) {
#pragma unroll
    for (int pair = 0; pair < 2; pair++) {
      const int first = 16 * k_tile + 2 * t + 8 * pair;
      if constexpr (kInputs % 2 == 0) {
        Vec<float, 2> two = {};
        if (kInputs % 16 == 0 || first < kInputs) two = load<float, 2>(x + first);
        b[2 * pair] = two[0];
        b[2 * pair + 1] = two[1];
      } else {
        b[2 * pair] = first < kInputs ? x[first] : 0.0f;
        b[2 * pair + 1] = first + 1 < kInputs ? x[first + 1] : 0.0f;
      }
    }
  }
};

template <int kInputs>
DEVICE RowMajorTile<kInputs> tile_of(const float*) {
  return {};
}
template <int kInputs>
DEVICE PackedTile<kInputs> tile_of(const bf16*) {
  return {};
}
template <int kInputs>
DEVICE PackedTile<kInputs> tile_of(const f16*) {
  return {};
}

// Config: as linear-tensor-cores.cuh has it, without parts, splits and stages; kBlockTiles is 1.
// Grid: row tiles, 1, tiles. The block's kWarpsK warps share the inputs, each takes consecutive ones;
// a sum is that of a lane's inputs in ascending order, then over four lanes, then over the warps.
template <typename Config, typename Bias, typename Epilogue>
DEVICE void linear_cuda_cores(const Table<const typename Config::Weight, Config::kPointers>& weights, const float* x,
                              int rows, const float* scale_sums, const Bias& bias, const Epilogue& epilogue) {
  extern __shared__ __align__(16) unsigned char shared[];
  constexpr int kScaleBytes = Config::kScaleParts > 0 ? (4 * Config::kRows + 15) / 16 * 16 : 0;
  constexpr int kTiles = (Config::kInputs + 15) / 16;
  float* const scales = reinterpret_cast<float*>(shared);
  const BlockTiles<Config> tiles{reinterpret_cast<float*>(shared + kScaleBytes)};
  const Place place = place_of<Config>(blockIdx.z, 1, blockIdx.x, rows);
  row_scales<Config>(scale_sums, place, scales, blockDim.x / 32);

  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int t = lane % 4;
  const int outputs = Config::outputs(place.weight);
#pragma unroll 1
  for (int m = 0; m < Config::kWeights * Config::kTileOutputs / 16; m++) {
    const int weight = m / (Config::kTileOutputs / 16);
    const int output = m % (Config::kTileOutputs / 16) * 16 + lane / 4;
    const typename Config::Weight* from = weights.at[Config::kWeights > 1 ? weight : place.weight];
    float sums[Config::kRows][2] = {};
#pragma unroll 2
    for (int k_tile = kTiles * warp / Config::kWarpsK; k_tile < kTiles * (warp + 1) / Config::kWarpsK; k_tile++) {
      using Fragment = decltype(tile_of<Config::kInputs>(from));
      float a[2][4];
      Fragment::load_weights(from, outputs, place.first_output + output, k_tile, t, a);
#pragma unroll
      for (int row = 0; row < Config::kRows; row++) {
        // Rows past the last repeat it, so that nothing outside x is read.
        const int from_row = place.first_row + min(row, place.rows - 1);
        float b[4];
        Fragment::load_inputs(x + static_cast<size_t>(from_row) * Config::kInputs, k_tile, t, b);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sums[row][0] = fmaf(a[0][i], b[i], sums[row][0]);
          sums[row][1] = fmaf(a[1][i], b[i], sums[row][1]);
        }
      }
    }
#pragma unroll
    for (int row = 0; row < Config::kRows; row++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float sum = sums[row][half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (t == row % 4) tiles.at(warp, weight, row, output + 8 * half) = sum;
      }
    }
  }
  __syncthreads();
  sum_groups<Config>(tiles, place, Finish<Config, Bias>{scales, place, bias});
  __syncthreads();
  finish_tiles<Config>(tiles, place, epilogue);
}
