// Epilogue of an LM head: only the best of a tile's outputs leave the block.
#pragma once
#include "kernels/linear/tile.cuh"
#include "kernels/topk/rank.cuh"

// Per row and tile the K best (value, output), best first, ties by lower output, NaN as -infinity;
// places that a tile cannot fill are (-infinity, 0x7fffffff). TILES and OUTPUTS are those of the
// whole layer. K is at most 64.
//   topk_epilogue<10, 2004, 128256>(partial_values, partial_ids, [&] { return is_wanted ? logits : nullptr; })
template <int K, int TILES, int OUTPUTS, typename Logits>
struct TopkEpilogue {
  float* partial_values;  // [rows][TILES][K]
  int* partial_ids;
  // [rows, OUTPUTS], null where nobody reads them. Asked for only here: the main loop has no register
  // to spare for the answer.
  Logits wanted_logits;

  template <int WEIGHTS, int ROWS, int WIDTH>
  DEVICE void operator()(const Tile<WEIGHTS, ROWS, WIDTH>& tile, const Place& place) const {
    constexpr int kEach = (WIDTH + 31) / 32;
    float* const logits = wanted_logits();
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int warps = static_cast<int>(blockDim.x / 32);
    for (int i = static_cast<int>(threadIdx.x / 32); i < place.rows; i += warps) {
      const size_t row = static_cast<size_t>(place.first_row) + i;
      u32 keys[kEach];
#pragma unroll
      for (int j = 0; j < kEach; j++) {
        const int output = 32 * j + lane;
        keys[j] = 0u;
        if (output >= place.outputs) continue;
        const float value = tile.at(0, i, output);
        keys[j] = rank_key(value);
        if (logits != nullptr) logits[row * OUTPUTS + place.first_output + output] = value;
      }
      const size_t list = (row * TILES + place.tile) * K;
      warp_topk<K>(keys, place.first_output, RankedList{partial_values + list, partial_ids + list});
    }
  }
};

template <int K, int TILES, int OUTPUTS, typename Logits>
DEVICE TopkEpilogue<K, TILES, OUTPUTS, Logits> topk_epilogue(float* partial_values, int* partial_ids,
                                                             const Logits& wanted_logits) {
  return {partial_values, partial_ids, wanted_logits};
}
