// Rows of a 16-bit weight into the fragments of mma.m16n8k16 (src/ir/weight-layout.ts).
#pragma once
#include "prelude/memory.cuh"

namespace pack {

constexpr int kTilesPerBlock = 8;  // along the inputs, a warp each
constexpr int kThreads = 32 * kTilesPerBlock;
constexpr int kColumns = 16 * kTilesPerBlock;
// Rows 68 words apart: the fragments' eight rows of four words then lie in 32 different banks.
constexpr int kStride = kColumns + 8;

// Tile row blockIdx.y of the source, kTilesPerBlock tiles of it. `source` holds `rows` rows from
// `first_row` on; what is past them or past the inputs becomes zero.
template <int INPUTS>
DEVICE void pack_rows(const u16* source, u16* packed, int first_row, int rows) {
  __shared__ alignas(16) u16 tile[16][kStride];
  const int row0 = blockIdx.y * 16;
  const int column0 = blockIdx.x * kColumns;
  constexpr int kVectors = kColumns / 8;
#pragma unroll
  for (int i = threadIdx.x; i < 16 * kVectors; i += kThreads) {
    const int row = i / kVectors;
    const int column = i % kVectors * 8;
    const u16* from = source + static_cast<u64>(row0 + row) * INPUTS + column0 + column;
    Vec<u16, 8> value = {};
    if (row0 + row < rows) {
      if constexpr (INPUTS % 8 == 0) {
        if (column0 + column < INPUTS) value = load<u16, 8>(from);
      } else {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          if (column0 + column + j < INPUTS) value[j] = from[j];
        }
      }
    }
    store(&tile[row][column], value);
  }
  __syncthreads();

  constexpr int kTiles = (INPUTS + 15) / 16;
  const int k_tile = blockIdx.x * kTilesPerBlock + threadIdx.x / 32;
  if (k_tile >= kTiles) return;
  const int lane = threadIdx.x % 32;
  const int column = threadIdx.x / 32 * 16 + lane % 4 * 2;
  Vec<u32, 4> fragment;
#pragma unroll
  for (int r = 0; r < 4; r++) {
    const u16* pair = &tile[lane / 4 + r % 2 * 8][column + r / 2 * 8];
    fragment[r] = *reinterpret_cast<const u32*>(pair);
  }
  const u64 to = static_cast<u64>((first_row + row0) / 16) * kTiles + k_tile;
  store(reinterpret_cast<u32*>(packed) + to * 128 + lane * 4, fragment);
}

}  // namespace pack
