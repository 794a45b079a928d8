// The inputs of a layer on tensor cores, in the order in which every configuration multiplies them.
#pragma once
#include "prelude/types.cuh"

// Chunks of four k16 tiles are what the rings move and parts are counted in (tiling.ts), padding
// included.
template <typename Config>
struct InputChunks {
  static constexpr int kChunkTiles = 4;
  static constexpr int kChunkInputs = 16 * kChunkTiles;
  static constexpr int kTiles = (Config::kInputs + 15) / 16;
  static constexpr int kChunks = (Config::kInputs + kChunkInputs - 1) / kChunkInputs;
  // First chunk of a part.
  DEVICE static constexpr int part_start(int part) { return kChunks * part / Config::kParts; }
};
