// What a block of a linear layer has computed when its epilogue runs.
#pragma once
#include "prelude/types.cuh"

// Final values (splits summed, scaled, bias added) in shared memory, token-major: consecutive
// outputs are adjacent, so that an epilogue's stores are too. OUTPUTS is a multiple of 16.
template <int WEIGHTS, int ROWS, int OUTPUTS>
struct Tile {
  // Tensor-core accumulators hold tokens 2t and 2t+1 of output g in lane 4g+t: with rows 4 floats
  // apart modulo 16, the lanes of one store lie in 32 different banks. Rows stay 16-byte aligned.
  static constexpr int kStride = OUTPUTS + 4;
  static constexpr int kFloats = WEIGHTS * ROWS * kStride;
  float* data;

  DEVICE float& at(int weight, int row, int output) const {
    return data[(weight * ROWS + row) * kStride + output];
  }
};

// Where the tile lies in the layer's result.
struct Place {
  int weight;        // several weights one after another: the one the tile belongs to; otherwise 0
  int first_output;  // in that weight
  int outputs;       // of the tile's OUTPUTS, how many there are
  int first_row;
  int rows;  // of the tile's ROWS, how many there are
  int tile;  // index among all output tiles of the launch
};

// An epilogue is a functor that all threads of the block call together, after a barrier:
//   template <typename TILE> DEVICE void operator()(const TILE& tile, const Place& place) const;
// It may be called several times in a row, for tiles in different shared memory, without a barrier
// in between.
