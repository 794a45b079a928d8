// Epilogue of the attention projections: queries and keys leave rotated, keys and values go straight
// into the caches.
#pragma once
#include "kernels/linear/tile.cuh"
#include "kernels/rope/rotate.cuh"
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

enum class Role { kQuery, kKey, kValue };

// Config:
//   static constexpr int kHeadDim;           // even; tiles begin and end at heads
//   static constexpr int kQueryWidth;        // heads * kHeadDim, elements of a row of q
//   static constexpr int kCacheWidth;        // kvHeads * kHeadDim, elements of a cache slot
//   using Query = …; using Key = …; using Value = …;   // storage types (any, where a role is absent)
//   DEVICE static constexpr Role role(int weight);     // by Place::weight
// position(row) is the row's absolute position, `start` the slot of row 0.
//   rope_cache<Config>(q, keys, values, inverse_frequencies, start, [&](int row) { return …; })
// with null pointers for absent roles makes the functor.
template <typename Config, typename Position>
struct RopeCacheEpilogue {
  typename Config::Query* q;    // [rows, kQueryWidth]
  typename Config::Key* keys;   // [slots, kCacheWidth]
  typename Config::Value* values;
  const float* inverse_frequencies;  // [kHeadDim / 2]
  int start;
  Position position;

  template <int WEIGHTS, int ROWS, int WIDTH>
  DEVICE void operator()(const Tile<WEIGHTS, ROWS, WIDTH>& tile, const Place& place) const {
    const Role role = Config::role(place.weight);
    const size_t slot = static_cast<size_t>(start) + place.first_row;
    if (role == Role::kQuery) {
      store_rotated(tile, place, q + static_cast<size_t>(place.first_row) * Config::kQueryWidth, Config::kQueryWidth);
    } else if (role == Role::kKey) {
      store_rotated(tile, place, keys + slot * Config::kCacheWidth, Config::kCacheWidth);
    } else {
      store_plain(tile, place, values + slot * Config::kCacheWidth);
    }
  }

 private:
  // Two neighbours to a thread: a warp's store is 64 consecutive elements, and even one row keeps
  // a warp busy.
  static constexpr int kHalf = Config::kHeadDim / 2;
  static constexpr int kEach = kHalf % 2 == 0 ? 2 : 1;

  template <typename TILE, typename T>
  DEVICE void store_rotated(const TILE& tile, const Place& place, T* rows, int width) const {
    constexpr int kSteps = kHalf / kEach;  // of a head
    const int steps = place.outputs / Config::kHeadDim * kSteps;
    for (int item = static_cast<int>(threadIdx.x); item < place.rows * steps; item += static_cast<int>(blockDim.x)) {
      const int row = item / steps;
      const int step = item % steps;
      const int i = step % kSteps * kEach;
      const int output = step / kSteps * Config::kHeadDim + i;
      const int at = position(place.first_row + row);
      Vec<T, kEach> low, high;
#pragma unroll
      for (int e = 0; e < kEach; e++) {
        float a = tile.at(0, row, output + e);
        float b = tile.at(0, row, output + e + kHalf);
        rotate(a, b, rotation(at, inverse_frequencies[i + e]));
        low[e] = from_float<T>(a);
        high[e] = from_float<T>(b);
      }
      T* target = rows + static_cast<size_t>(row) * width + place.first_output + output;
      store<T, kEach>(target, low);
      store<T, kEach>(target + kHalf, high);
    }
  }

  template <typename TILE, typename T>
  DEVICE void store_plain(const TILE& tile, const Place& place, T* rows) const {
    const int steps = place.outputs / 2;
    for (int item = static_cast<int>(threadIdx.x); item < place.rows * steps; item += static_cast<int>(blockDim.x)) {
      const int row = item / steps;
      const int output = item % steps * 2;
      Vec<T, 2> pair;
      pair[0] = from_float<T>(tile.at(0, row, output));
      pair[1] = from_float<T>(tile.at(0, row, output + 1));
      store<T, 2>(rows + static_cast<size_t>(row) * Config::kCacheWidth + place.first_output + output, pair);
    }
  }
};

template <typename Config, typename Position>
DEVICE RopeCacheEpilogue<Config, Position> rope_cache(typename Config::Query* q, typename Config::Key* keys,
                                                      typename Config::Value* values,
                                                      const float* inverse_frequencies, int start, Position position) {
  return RopeCacheEpilogue<Config, Position>{q, keys, values, inverse_frequencies, start, position};
}
