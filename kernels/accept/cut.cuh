// Where top-k and top-p cut a row: a search over histograms instead of a sort.
#pragma once
#include "kernels/accept/block.cuh"
#include "kernels/accept/logits.cuh"
#include "kernels/topk/rank.cuh"

// The last logit that is kept, in rank order.
struct Cut {
  u32 key;
  int id;
  DEVICE bool keeps(u32 other_key, int other_id) const {
    return other_key > key || (other_key == key && other_id <= id);
  }
};
DEVICE Cut no_cut() { return Cut{0u, 0x7fffffff}; }

constexpr int kBuckets = 2048;

template <int WARPS>
struct DrawShared {
  // 64-bit sums in halves: shared memory has no atomic addition of 64 bits.
  u32 low[kBuckets], high[kBuckets];
  u64 warps[WARPS];
  Candidate firsts[WARPS];
  // Of the bucket where a search ended.
  int bucket;
  u64 before, mass;
};

DEVICE void add_to_bucket(u32* low, u32* high, int bucket, u64 amount) {
  const u32 addend = static_cast<u32>(amount);
  const u32 old = atomicAdd(&low[bucket], addend);
  const u32 carry = static_cast<u32>(amount >> 32) + (old + addend < old ? 1u : 0u);
  if (carry != 0u) atomicAdd(&high[bucket], carry);
}

// Adds up measure(logit) of what `cut` keeps by bucket_of(key, logit); a negative bucket is none.
template <typename Config, typename Bucket, typename Measure>
DEVICE void fill_buckets(const LogitsRow& row, const Cut& cut, Bucket bucket_of, Measure measure,
                         DrawShared<Config::kThreads / 32>& shared) {
  for (int i = static_cast<int>(threadIdx.x); i < kBuckets; i += Config::kThreads) shared.low[i] = shared.high[i] = 0u;
  __syncthreads();
  each_logit(row, static_cast<int>(threadIdx.x), Config::kVocabulary, Config::kThreads, [&](int id, float logit) {
    const u32 key = rank_key(logit);
    const int bucket = cut.keeps(key, id) ? bucket_of(key, logit) : -1;
    if (bucket < 0) return;
    const u64 amount = measure(logit);
    if (amount != 0) add_to_bucket(shared.low, shared.high, bucket, amount);
  });
  __syncthreads();
}

// Finds the first bucket that brings the sum, `before` included, to target_of(sum of all buckets).
// Leaves bucket, before and mass in `shared`; returns the target.
template <typename Config, typename Target>
DEVICE u64 find_bucket(u64 before, Target target_of, DrawShared<Config::kThreads / 32>& shared) {
  constexpr int kEach = (kBuckets + Config::kThreads - 1) / Config::kThreads;
  const int first = static_cast<int>(threadIdx.x) * kEach;
  const auto mass = [&](int bucket) -> u64 {
    return bucket < kBuckets ? static_cast<u64>(shared.high[bucket]) << 32 | shared.low[bucket] : 0;
  };
  u64 own = 0;
  for (int i = 0; i < kEach; i++) own += mass(first + i);
  const Scan scan = block_scan(own, shared.warps);
  const u64 target = target_of(scan.total);
  u64 sum = before + scan.before;
  if (sum < target && sum + own >= target) {
    int bucket = first;
    while (sum + mass(bucket) < target) sum += mass(bucket++);
    shared.bucket = bucket;
    shared.before = sum;
    shared.mass = mass(bucket);
  }
  __syncthreads();
  return target;
}

// 64 units of logit below the largest in steps of 1/32, then all the rest. Never rises with the
// logit, and spreads logits better than the bits of a float do.
DEVICE int coarse_bucket(float largest, float logit) {
  return logit == largest ? 0 : static_cast<int>(fminf((largest - logit) * 32.0f, kBuckets - 1));
}
// The lowest key of buckets 0 … bucket.
DEVICE u32 lowest_key(float largest, int bucket) {
  u32 low = kLowestKey, high = rank_key(largest);
  while (low < high) {
    const u32 middle = low + (high - low) / 2;
    if (coarse_bucket(largest, ranked_value(middle)) <= bucket) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// The cut that keeps, of what `cut` keeps, the first in rank whose measures add up to target_of(sum
// of all). Equal logits have equal measures; 1 <= target <= sum. Logits are not above `largest`.
template <typename Config, typename Measure, typename Target>
DEVICE Cut find_cut(const LogitsRow& row, float largest, const Cut& cut, Measure measure, Target target_of,
                    DrawShared<Config::kThreads / 32>& shared) {
  fill_buckets<Config>(
      row, cut, [&](u32, float logit) { return coarse_bucket(largest, logit); }, measure, shared);
  const u64 target = find_bucket<Config>(0, target_of, shared);
  u32 low = lowest_key(largest, shared.bucket);
  u32 high = shared.bucket == 0 ? rank_key(largest) : lowest_key(largest, shared.bucket - 1) - 1;

  // Narrow the keys down to one.
  while (low < high) {
    const int bits = 32 - __clz(static_cast<int>(high - low));
    const int shift = bits > 11 ? bits - 11 : 0;
    const u64 before = shared.before;
    fill_buckets<Config>(
        row, cut,
        [&](u32 key, float) { return key >= low && key <= high ? static_cast<int>((high - key) >> shift) : -1; },
        measure, shared);
    find_bucket<Config>(before, [&](u64) { return target; }, shared);
    high -= static_cast<u32>(shared.bucket) << shift;
    const u32 span = (1u << shift) - 1u;
    if (high - low > span) low = high - span;
  }

  // Of equal logits the lower ids come first.
  const u64 each = measure(ranked_value(low));
  const u64 wanted = (target - shared.before + each - 1) / each;
  if (wanted * each >= shared.mass) return Cut{low, low == cut.key ? cut.id : 0x7fffffff};
  constexpr int kPart = (Config::kVocabulary + Config::kThreads - 1) / Config::kThreads;
  const int from = static_cast<int>(threadIdx.x) * kPart;
  const int to = min(from + kPart, Config::kVocabulary);
  u64 own = 0;
  for (int id = from; id < to; id++) own += rank_key(row[id]) == low && cut.keeps(low, id) ? 1 : 0;
  u64 rank = block_scan(own, shared.warps).before;
  if (rank < wanted && rank + own >= wanted) {
    int id = from - 1;
    while (rank < wanted) {
      id++;
      if (rank_key(row[id]) == low) rank++;
    }
    shared.bucket = id;
  }
  __syncthreads();
  return Cut{low, shared.bucket};
}
