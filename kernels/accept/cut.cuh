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

constexpr int kBucketBits = 11;
constexpr int kBuckets = 1 << kBucketBits;

template <int WARPS>
struct DrawShared {
  // 64-bit sums in halves: shared memory has no atomic addition of 64 bits.
  u32 low[kBuckets], high[kBuckets];
  u64 warps[WARPS];
  Candidate firsts[WARPS];
  // Of the bucket where a search ended.
  int bucket;
  u64 before, mass;

  DEVICE u64 sum(int at) const { return at < kBuckets ? static_cast<u64>(high[at]) << 32 | low[at] : 0; }
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
#pragma unroll 1
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

// 64 units of logit below the largest in steps of 1/32, then all the rest. Never rises with the
// logit, and spreads logits better than the bits of a float do.
DEVICE int coarse_bucket(float largest, float logit) {
  return logit == largest ? 0 : static_cast<int>(fminf((largest - logit) * 32.0f, kBuckets - 1));
}
// The lowest key of buckets 0 … bucket.
DEVICE u32 lowest_key(float largest, int bucket) {
  u32 low = kLowestKey, high = rank_key(largest);
#pragma unroll 1
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
  constexpr int kEach = (kBuckets + Config::kThreads - 1) / Config::kThreads;
  const int first_bucket = static_cast<int>(threadIdx.x) * kEach;
  u32 low = kLowestKey, high = rank_key(largest);
  u64 before = 0, target = 0;
  // Narrow the keys down to one: first by coarse buckets, then by equal shares of what is left.
#pragma unroll 1
  for (bool is_coarse = true; is_coarse || low < high; is_coarse = false) {
    const int bits = 32 - __clz(static_cast<int>(high - low));
    const int shift = bits > kBucketBits ? bits - kBucketBits : 0;
    fill_buckets<Config>(
        row, cut,
        [&](u32 key, float logit) {
          if (is_coarse) return coarse_bucket(largest, logit);
          return key >= low && key <= high ? static_cast<int>((high - key) >> shift) : -1;
        },
        measure, shared);

    u64 own = 0;
#pragma unroll 1
    for (int i = 0; i < kEach; i++) own += shared.sum(first_bucket + i);
    const Scan scan = block_scan(own, shared.warps);
    if (is_coarse) target = target_of(scan.total);
    u64 sum = before + scan.before;
    if (sum < target && sum + own >= target) {
      int bucket = first_bucket;
      while (sum + shared.sum(bucket) < target) sum += shared.sum(bucket++);
      shared.bucket = bucket;
      shared.before = sum;
      shared.mass = shared.sum(bucket);
    }
    __syncthreads();
    before = shared.before;
    if (is_coarse) {
      if (shared.bucket > 0) high = lowest_key(largest, shared.bucket - 1) - 1;
      low = lowest_key(largest, shared.bucket);
    } else {
      high -= static_cast<u32>(shared.bucket) << shift;
      const u32 span = (1u << shift) - 1u;
      if (high - low > span) low = high - span;
    }
  }

  // Of equal logits the lower ids come first.
  const u64 each = measure(ranked_value(low));
  const u64 wanted = (target - before + each - 1) / each;
  if (wanted * each >= shared.mass) return Cut{low, low == cut.key ? cut.id : 0x7fffffff};
  constexpr int kPart = (Config::kVocabulary + Config::kThreads - 1) / Config::kThreads;
  const int from = static_cast<int>(threadIdx.x) * kPart;
  const int to = min(from + kPart, Config::kVocabulary);
  u64 own = 0;
#pragma unroll 1
  for (int id = from; id < to; id++) own += rank_key(row[id]) == low && cut.keeps(low, id) ? 1 : 0;
  u64 rank = block_scan(own, shared.warps).before;
  if (rank < wanted && rank + own >= wanted) {
    int id = from - 1;
#pragma unroll 1
    while (rank < wanted) {
      id++;
      if (rank_key(row[id]) == low) rank++;
    }
    shared.bucket = id;
  }
  __syncthreads();
  return Cut{low, shared.bucket};
}
