// From sums of products to the final values of a block's tiles, and to its epilogue.
#pragma once
#include "kernels/linear/place.cuh"
#include "prelude/memory.cuh"

// The tiles of a block in shared memory. While several groups of warps have sums of their own, the
// tiles of group g follow those of group g - 1.
template <typename Config>
struct BlockTiles {
  using OneTile = Tile<Config::kWeights, Config::kRows, Config::kTileOutputs>;
  static constexpr int kOutputs = Config::kTileOutputs * Config::kBlockTiles;
  static constexpr int kBytes = 4 * OneTile::kFloats * Config::kBlockTiles * Config::kWarpsK;
  float* data;

  DEVICE OneTile tile(int group, int index) const {
    return OneTile{data + (group * Config::kBlockTiles + index) * OneTile::kFloats};
  }
  DEVICE float& at(int group, int weight, int row, int output) const {
    return tile(group, output / Config::kTileOutputs).at(weight, row, output % Config::kTileOutputs);
  }
};

// rsqrt(sum / width + eps) of each row, from its partial sums: lanes add every 32nd, then each
// other's, so that the order is that of kScaleParts alone. The first `warps` warps share the rows.
template <typename Config>
DEVICE void row_scales(const float* sums, const Place& place, float* scales, int warps) {
  if constexpr (Config::kScaleParts > 0) {
    const int lane = threadIdx.x % 32;
    for (int row = threadIdx.x / 32; row < place.rows; row += warps) {
      const float* parts = sums + static_cast<size_t>(place.first_row + row) * Config::kScaleParts;
      float sum = 0.0f;
#pragma unroll 4
      for (int part = lane; part < Config::kScaleParts; part += 32) sum += parts[part];
      sum = warp_sum(sum);
      if (lane == 0) scales[row] = rsqrtf(sum / Config::kScaleWidth + Config::kScaleEps);
    }
  }
}

// Scale and bias: what is left to do to a sum of products. `bias(weight, output)` is a functor.
template <typename Config, typename Bias>
struct Finish {
  const float* scales;
  const Place& place;
  const Bias& bias;

  DEVICE float operator()(float sum, int weight, int row, int output) const {
    if constexpr (Config::kScaleParts > 0) sum *= row < place.rows ? scales[row] : 0.0f;
    if constexpr (Config::kBias) {
      if (output < place.outputs) {
        sum += bias(Config::kWeights > 1 ? weight : place.weight, place.first_output + output);
      }
    }
    return sum;
  }
};

// Adds up the groups' tiles in ascending order; the result is in group 0's. Barriers around it are
// the caller's.
template <typename Config, typename Final>
DEVICE void sum_groups(const BlockTiles<Config>& tiles, const Place& place, const Final& final) {
  constexpr int kOutputs = BlockTiles<Config>::kOutputs;
  constexpr int kRowValues = Config::kWeights * kOutputs;
  for (int i = threadIdx.x; i < place.rows * kRowValues; i += blockDim.x) {
    const int row = i / kRowValues;
    const int weight = i % kRowValues / kOutputs;
    const int output = i % kOutputs;
    float sum = tiles.at(0, weight, row, output);
#pragma unroll
    for (int group = 1; group < Config::kWarpsK; group++) sum += tiles.at(group, weight, row, output);
    tiles.at(0, weight, row, output) = final(sum, weight, row, output);
  }
}

// After a barrier: hands the tiles to the epilogue, one by one.
template <typename Config, typename Epilogue>
DEVICE void finish_tiles(const BlockTiles<Config>& tiles, const Place& block, const Epilogue& epilogue) {
#pragma unroll 1
  for (int index = 0; index < Config::kBlockTiles; index++) {
    Place place = block;
    place.tile += index;
    place.first_output += index * Config::kTileOutputs;
    place.outputs = min(block.outputs - index * Config::kTileOutputs, Config::kTileOutputs);
    if (place.outputs > 0) epilogue(tiles.tile(0, index), place);
  }
}
