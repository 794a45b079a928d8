// Where an element of a packed matrix lies (src/ir/weight-layout.ts has the layout and its reasons).
#pragma once
#include "prelude/types.cuh"

// Element (n, k) of a packed [N, kInputs] matrix.
template <int kInputs>
DEVICE size_t packed_index(int n, int k) {
  constexpr int kTiles = (kInputs + 15) / 16;
  const size_t tile = static_cast<size_t>(n / 16) * kTiles + k / 16;
  const int lane = 4 * (n % 8) + k % 8 / 2;
  const int reg = n % 16 / 8 + 2 * (k % 16 / 8);
  return tile * 256 + lane * 8 + reg * 2 + k % 2;
}
