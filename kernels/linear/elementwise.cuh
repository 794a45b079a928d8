// The epilogue of linear layers whose result is computed output by output.
#pragma once
#include "kernels/linear/tile.cuh"
#include "prelude/memory.cuh"

// `each(row, column, values)` stores the result of one output, `values` having the float of each
// weight, and returns what is squared. With `squares`, [rows][tiles] gets the sums of the squares of
// a row's outputs: lanes add every 32nd, then each other's.
template <int TILES, typename Each>
struct ElementwiseEpilogue {
  Each each;
  float* squares;

  template <int WEIGHTS, int ROWS, int OUTPUTS>
  DEVICE void operator()(const Tile<WEIGHTS, ROWS, OUTPUTS>& tile, const Place& place) const {
    // What a batch loads is under way together: nothing in it depends on a condition.
    constexpr int kBatch = OUTPUTS >= 256 ? 1 : 256 / OUTPUTS;
    const int warps = blockDim.x / 32;
    int row = threadIdx.x / 32;
    if (OUTPUTS % 32 == 0 && place.outputs == OUTPUTS) {
      for (; row + (kBatch - 1) * warps < place.rows; row += kBatch * warps) {
        float sums[kBatch];
#pragma unroll
        for (int i = 0; i < kBatch; i++) sums[i] = row_values<true>(tile, place, row + i * warps);
#pragma unroll
        for (int i = 0; i < kBatch; i++) store_squares(sums[i], place, row + i * warps);
      }
    }
#pragma unroll 1
    for (; row < place.rows; row += warps) store_squares(row_values<false>(tile, place, row), place, row);
  }

 private:
  template <bool WHOLE, int WEIGHTS, int ROWS, int OUTPUTS>
  DEVICE float row_values(const Tile<WEIGHTS, ROWS, OUTPUTS>& tile, const Place& place, int row) const {
    const int lane = threadIdx.x % 32;
    float sum = 0.0f;
#pragma unroll
    for (int first = 0; first < OUTPUTS; first += 32) {
      const int output = first + lane;
      if (WHOLE || output < place.outputs) {
        float values[WEIGHTS];
#pragma unroll
        for (int weight = 0; weight < WEIGHTS; weight++) values[weight] = tile.at(weight, row, output);
        const float squared = each(place.first_row + row, place.first_output + output, values);
        sum = fmaf(squared, squared, sum);
      }
    }
    return sum;
  }

  DEVICE void store_squares(float sum, const Place& place, int row) const {
    if constexpr (TILES > 0) {
      sum = warp_sum(sum);
      if (threadIdx.x % 32 == 0) squares[static_cast<size_t>(place.first_row + row) * TILES + place.tile] = sum;
    }
  }
};

template <int TILES, typename Each>
DEVICE ElementwiseEpilogue<TILES, Each> elementwise_epilogue(const Each& each, float* squares) {
  return {each, squares};
}
