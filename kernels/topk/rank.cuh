// The order in which candidates (value, id) are ranked: larger value first, lower id first among
// equals. Zeros of both signs are equal; NaN counts as -infinity.
#pragma once
#include "prelude/types.cuh"

// An unsigned number in the order of the values; equal values have equal keys. 0 is below them all.
DEVICE u32 rank_key(float value) {
  const u32 bits = __float_as_uint(value + 0.0f);  // -0 becomes +0
  const u32 key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return value == value ? key : 0x007fffffu;
}
DEVICE float ranked_value(u32 key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}
constexpr u32 kLowestKey = 0x007fffffu;  // of -infinity

struct Candidate {
  u32 key;
  int id;
};
// Ranks after everything that is there.
DEVICE Candidate nothing() { return Candidate{0u, 0x7fffffff}; }
DEVICE bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.key > b.key || (a.key == b.key && a.id < b.id);
}
DEVICE bool same(const Candidate& a, const Candidate& b) { return a.key == b.key && a.id == b.id; }

// The first in rank of a warp's candidates, in all lanes.
DEVICE Candidate warp_first(const Candidate& own) {
  const u32 key = __reduce_max_sync(0xffffffffu, own.key);
  const int id = __reduce_min_sync(0xffffffffu, own.key == key ? own.id : 0x7fffffff);
  return Candidate{key, id};
}

// The first in rank of the candidates of a block of 32 * WARPS threads, in all threads. `warps` is
// in shared memory; a barrier must come before its next use.
template <int WARPS>
DEVICE Candidate block_first(const Candidate& own, Candidate (&warps)[WARPS]) {
  static_assert(WARPS <= 32, "one lane per warp");
  const int lane = static_cast<int>(threadIdx.x % 32);
  const Candidate first = warp_first(own);
  if (lane == 0) warps[threadIdx.x / 32] = first;
  __syncthreads();
  return warp_first(lane < WARPS ? warps[lane] : nothing());
}

// Ranked candidates of one row as memory holds them. What is missing is (-infinity, 0x7fffffff).
struct RankedList {
  float* values;
  int* ids;
  DEVICE void set(int rank, const Candidate& candidate) const {
    values[rank] = ranked_value(candidate.key < kLowestKey ? kLowestKey : candidate.key);
    ids[rank] = candidate.id;
  }
};

// The K first in rank of 32 * N values that a warp holds, best first: keys[j] of lane l belongs to
// id first_id + 32 * j + l and is 0 where there is no value. The keys are used up.
template <int K, int N>
DEVICE void warp_topk(u32 (&keys)[N], int first_id, const RankedList& out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  Candidate kept = nothing();
#pragma unroll 1
  for (int rank = 0; rank < K; rank++) {
    Candidate own = nothing();
#pragma unroll
    for (int j = 0; j < N; j++) {
      // Ids rise with j: an equal key later on ranks behind.
      if (keys[j] > own.key) own = Candidate{keys[j], first_id + 32 * j + lane};
    }
    const Candidate first = warp_first(own);
#pragma unroll
    for (int j = 0; j < N; j++) {
      if (first_id + 32 * j + lane == first.id) keys[j] = 0u;
    }
    // Lanes collect what they store, so that 32 ranks are one store.
    if (lane == rank % 32) kept = first;
    if (rank % 32 == 31 || rank == K - 1) {
      if (lane <= rank % 32) out.set(rank / 32 * 32 + lane, kept);
    }
  }
}
