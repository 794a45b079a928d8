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
    const int lane = threadIdx.x % 32;
#pragma unroll 4
    for (int row = threadIdx.x / 32; row < place.rows; row += blockDim.x / 32) {
      float sum = 0.0f;
#pragma unroll
      for (int first = 0; first < OUTPUTS; first += 32) {
        const int output = first + lane;
        if (output < place.outputs) {
          float values[WEIGHTS];
#pragma unroll
          for (int weight = 0; weight < WEIGHTS; weight++) values[weight] = tile.at(weight, row, output);
          const float squared = each(place.first_row + row, place.first_output + output, values);
          sum = fmaf(squared, squared, sum);
        }
      }
      if constexpr (TILES > 0) {
        sum = warp_sum(sum);
        if (lane == 0) squares[static_cast<size_t>(place.first_row + row) * TILES + place.tile] = sum;
      }
    }
  }
};

template <int TILES, typename Each>
DEVICE ElementwiseEpilogue<TILES, Each> elementwise_epilogue(const Each& each, float* squares) {
  return {each, squares};
}
