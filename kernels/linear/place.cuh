// Which part of a linear layer's result a block computes.
#pragma once
#include "kernels/linear/tile.cuh"

// Tiles [first, first + count) of the launch, which are of one weight, and kRows rows.
template <typename Config>
DEVICE Place place_of(int first, int count, int row_tile, int rows) {
  Place place;
  place.tile = first;
  place.weight = 0;
  place.first_output = first * Config::kTileOutputs;
  // Weights one after another, each from a tile of its own on.
#pragma unroll
  for (int weight = 0; weight + 1 < Config::kMerged; weight++) {
    const int tiles = (Config::outputs(weight) + Config::kTileOutputs - 1) / Config::kTileOutputs;
    if (place.weight == weight && place.first_output >= tiles * Config::kTileOutputs) {
      place.weight = weight + 1;
      place.first_output -= tiles * Config::kTileOutputs;
    }
  }
  place.outputs = min(Config::outputs(place.weight) - place.first_output, count * Config::kTileOutputs);
  place.first_row = row_tile * Config::kRows;
  place.rows = min(rows - place.first_row, Config::kRows);
  return place;
}
