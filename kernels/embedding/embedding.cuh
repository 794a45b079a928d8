// Rows of an embedding table by token id, one block per row, widened to float.
#pragma once
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

// Elements `column` (even) and the next of a row of the table [vocabulary, kWidth], which lies in
// mma fragments: tiles of 16x16 elements, a tile 512 bytes of which lane l owns 16. Of row n, lane
// 4 (n % 8) + t holds columns 2t, 2t + 1, 2t + 8 and 2t + 9 of a tile.
template <int kWidth, typename T>
DEVICE Vec<float, 2> packed_pair(const T* table, int row, int column) {
  constexpr int kTiles = (kWidth + 15) / 16;
  const size_t tile = static_cast<size_t>(row / 16) * kTiles + column / 16;
  const int lane = 4 * (row % 8) + column % 8 / 2;
  const int reg = row % 16 / 8 + 2 * (column % 16 / 8);
  const Vec<T, 2> pair = load<T, 2>(table + tile * 256 + lane * 8 + reg * 2);
  return {{to_float(pair[0]), to_float(pair[1])}};
}

// The same of a table that lies row by row.
template <int kWidth>
DEVICE Vec<float, 2> row_major_pair(const float* table, int row, int column) {
  const float* first = table + static_cast<size_t>(row) * kWidth + column;
  return {{first[0], column + 1 < kWidth ? first[1] : 0.0f}};
}

// Config: kWidth, kVocabulary, kThreads, kPacked, Weight.
// `each(column, value)` is called once for every element of the block's row and returns a float;
// the sum of the squares of this thread's is returned. A token outside the vocabulary gets the
// nearest row: nothing outside the table is read.
template <typename Config, typename Each>
DEVICE float embedding(const typename Config::Weight* table, int token, Each each) {
  constexpr int kWidth = Config::kWidth;
  constexpr int kPairs = (kWidth + 1) / 2;
  constexpr int kSteps = (kPairs + Config::kThreads - 1) / Config::kThreads;
  const int row = min(max(token, 0), Config::kVocabulary - 1);
  // All loads before the first use: what `each` stores might overlap the table for all the compiler knows.
  Vec<float, 2> pairs[kSteps];
#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    const int column = 2 * (step * Config::kThreads + static_cast<int>(threadIdx.x));
    if (column >= kWidth) continue;
    if constexpr (Config::kPacked) {
      pairs[step] = packed_pair<kWidth>(table, row, column);
    } else {
      pairs[step] = row_major_pair<kWidth>(table, row, column);
    }
  }
  float sum = 0.0f;
#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    const int column = 2 * (step * Config::kThreads + static_cast<int>(threadIdx.x));
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if (column + i >= kWidth) continue;
      const float value = each(column + i, pairs[step][i]);
      sum = fmaf(value, value, sum);
    }
  }
  return sum;
}
