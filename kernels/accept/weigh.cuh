// Weights of a row's logits added up by chunk, so that later passes can pass over most of the row.
#pragma once
#include "kernels/accept/block.cuh"
#include "kernels/accept/logits.cuh"
#include "kernels/topk/rank.cuh"

// store(chunk, sum of weight(id, logit)) for the chunks from `begin` to `end`; for those that are not
// wanted(chunk) the sum is 0 and nothing is read. One lane of a warp stores. A block calls it.
template <typename Config, typename Wanted, typename Weight, typename Store>
DEVICE void weigh_chunks(const LogitsRow& row, int begin, int end, Wanted wanted, Weight weight, Store store) {
  const bool is_first_lane = threadIdx.x % 32 == 0;
#pragma unroll 1
  for (int chunk = begin + static_cast<int>(threadIdx.x / 32); chunk < end; chunk += Config::kThreads / 32) {
    u64 sum = 0;
    if (wanted(chunk)) {
      each_logit<Config::kVocabulary>(row, chunk, [&](int id, float logit) { sum += weight(id, logit); });
      sum = warp_sum(sum);
    }
    if (is_first_lane) store(chunk, sum);
  }
}

template <int WARPS>
struct LocateShared {
  u64 warps[WARPS];
  u64 rest;
  int at;
};

// The id whose interval holds target_of(sum of all weights) when the weights are laid end to end in
// id order. `masses` has the sums of the row's chunks, perhaps by atomics; targets are below the sum
// of all. A block calls it, and has synchronised since the masses were written.
template <typename Config, typename Weight, typename Target>
DEVICE int locate(const LogitsRow& row, const u64* masses, Weight weight, Target target_of,
                  LocateShared<Config::kThreads / 32>& shared) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  constexpr int kEach = (kChunks + Config::kThreads - 1) / Config::kThreads;
  static_assert(Config::kThreads >= kChunk, "a thread for each id of a chunk");
  const int first = static_cast<int>(threadIdx.x) * kEach;
  u64 own[kEach];
  u64 sum = 0;
#pragma unroll
  for (int i = 0; i < kEach; i++) sum += own[i] = first + i < kChunks ? __ldcg(masses + first + i) : 0;
  const Scan scan = block_scan(sum, shared.warps);
  u64 before = scan.before;
  const u64 target = target_of(scan.total);
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    if (before <= target && target - before < own[i]) {
      shared.at = first + i;
      shared.rest = target - before;
    }
    before += own[i];
  }
  __syncthreads();
  const u64 rest = shared.rest;
  const int id = shared.at * kChunk + static_cast<int>(threadIdx.x);
  const bool is_there = threadIdx.x < kChunk && id < Config::kVocabulary;
  const u64 mass = is_there ? weight(id, row[id]) : 0;
  // The scan's barriers come between reading where the chunk is and writing where the id is.
  before = block_scan(mass, shared.warps).before;
  if (before <= rest && rest - before < mass) shared.at = id;
  __syncthreads();
  return shared.at;
}
