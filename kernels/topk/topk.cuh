// The best of long rows: tiles of a row each keep their k best, then the tiles' lists are merged.
#pragma once
#include "kernels/topk/rank.cuh"

// Config: kWidth, kTile (values of a tile, a multiple of 32), kTiles, kK, kThreads.
// x [rows, kWidth] → partial values and ids [rows][kTiles][kK]. A warp takes a tile; block x is the
// row, block y takes kThreads / 32 tiles.
template <typename Config>
DEVICE void topk_partials(const float* x, float* partial_values, int* partial_ids) {
  constexpr int kEach = Config::kTile / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int tile = static_cast<int>(blockIdx.y * (Config::kThreads / 32) + threadIdx.x / 32);
  if (tile >= Config::kTiles) return;
  const size_t row = blockIdx.x;
  const int first = tile * Config::kTile;
  u32 keys[kEach];
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    const int id = first + 32 * j + lane;
    keys[j] = id < Config::kWidth ? rank_key(x[row * Config::kWidth + id]) : 0u;
  }
  const size_t list = (row * Config::kTiles + tile) * Config::kK;
  warp_topk<Config::kK>(keys, first, RankedList{partial_values + list, partial_ids + list});
}

// N ranked lists of K that a lane merges: it stands at one candidate of each. The second ones are
// fetched beside the first: few lists give more than two, and no others wait for memory on the way.
template <int N, int K>
struct Lists {
  const float* values;  // list j starts at element (first + j * step) * K
  const int* ids;
  int first, step, count;
  Candidate heads[N], seconds[N];
  int passed[N];  // candidates of the list that were taken

  DEVICE void open() {
#pragma unroll
    for (int j = 0; j < N; j++) {
      passed[j] = 0;
      heads[j] = read(j, 0);
      seconds[j] = read(j, 1);
    }
  }
  DEVICE Candidate read(int j, int rank) const {
    const int list = first + j * step;
    if (list >= count || rank >= K) return nothing();
    const size_t at = static_cast<size_t>(list) * K + rank;
    return Candidate{rank_key(values[at]), ids[at]};
  }
  DEVICE Candidate best() const {
    Candidate found = heads[0];
#pragma unroll
    for (int j = 1; j < N; j++) {
      if (ranks_before(heads[j], found)) found = heads[j];
    }
    return found;
  }
  // Goes on in the list that stands at this candidate. Candidates are told apart by their ids; of
  // missing ones, which all look alike, it does not matter how many are taken at once.
  DEVICE void take(const Candidate& candidate) {
#pragma unroll
    for (int j = 0; j < N; j++) {
      if (!same(heads[j], candidate)) continue;
      passed[j]++;
      heads[j] = passed[j] == 1 ? seconds[j] : read(j, passed[j]);
    }
  }
};

// The K first in rank of the lists of a warp's lanes, best first.
template <int N, int K>
DEVICE void warp_merge(Lists<N, K>& lists, const RankedList& out) {
  lists.open();
#pragma unroll 1
  for (int rank = 0; rank < K; rank++) {
    const Candidate first = warp_first(lists.best());
    if (threadIdx.x % 32 == 0) out.set(rank, first);
    lists.take(first);
  }
}

// Config: kTiles, kK, kWarps (at most 32).
// Partial values and ids [rows][kTiles][kK], each list ranked → values and ids [rows][kK]; `values`
// may be null. A block per row: its warps merge their share of the lists, then one merges those.
template <typename Config>
DEVICE void topk_merge(const float* partial_values, const int* partial_ids, float* values, int* ids) {
  constexpr int kK = Config::kK;
  constexpr int kWarps = Config::kWarps;
  constexpr int kLists = (Config::kTiles + 32 * kWarps - 1) / (32 * kWarps);
  __shared__ float merged_values[(kWarps + 1) * kK];
  __shared__ int merged_ids[(kWarps + 1) * kK];
  const size_t row = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const size_t lists = row * Config::kTiles * kK;
  Lists<kLists, kK> tiles{partial_values + lists, partial_ids + lists, static_cast<int>(threadIdx.x), 32 * kWarps,
                          Config::kTiles};
  warp_merge(tiles, RankedList{merged_values + warp * kK, merged_ids + warp * kK});
  int result = 0;
  if constexpr (kWarps > 1) {
    __syncthreads();
    if (warp != 0) return;
    result = kWarps * kK;
    Lists<1, kK> warps{merged_values, merged_ids, lane, 32, kWarps};
    warp_merge(warps, RankedList{merged_values + result, merged_ids + result});
  }
  __syncwarp();
  for (int rank = lane; rank < kK; rank += 32) {
    if (values != nullptr) values[row * kK + rank] = merged_values[result + rank];
    ids[row * kK + rank] = merged_ids[result + rank];
  }
}
