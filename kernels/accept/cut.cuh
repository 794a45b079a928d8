// Where top-k and top-p cut a row: a search over histograms of its candidates instead of a sort.
#pragma once
#include "kernels/accept/weigh.cuh"

// The last logit that is kept, in rank order.
struct Cut {
  u32 key;
  int id;
  DEVICE bool keeps(u32 other_key, int other_id) const {
    return other_key > key || (other_key == key && other_id <= id);
  }
};
DEVICE Cut no_cut() { return Cut{0u, 0x7fffffff}; }

constexpr int kListed = 128;

// Where a row's candidates are: of each chunk up to kSlots in a list, or among all of its logits.
constexpr int kSlots = 32;
constexpr u32 kAllOfChunk = kSlots + 1;

// Config: kVocabulary, kThreads (a power of two from 256 to 1024).
template <typename Config>
struct DrawShared {
  LocateShared<Config::kThreads / 32> locate;
  Candidate firsts[Config::kThreads / 32];
  // By chunk: candidates in its list, 0 where there are none at all, more than kSlots where it must be read.
  u32 counts[chunks_of(Config::kVocabulary)];
  // 64-bit sums in halves: shared memory has no atomic addition of 64 bits.
  u32 low[Config::kThreads], high[Config::kThreads];
  int listed;
  Candidate list[kListed];
  u64 masses[kListed];
  // Where a search ended.
  Candidate found;
  int bucket;
  u64 before, mass;
};

DEVICE void add_to_bucket(u32* low, u32* high, int bucket, u64 amount) {
  const u32 addend = static_cast<u32>(amount);
  const u32 old = atomicAdd(&low[bucket], addend);
  const u32 carry = static_cast<u32>(amount >> 32) + (old + addend < old ? 1u : 0u);
  if (carry != 0u) atomicAdd(&high[bucket], carry);
}

// f(key, id) in all lanes of a warp at the same time for the row's candidates, and with a key of 0 for
// what is none. `lists` [chunks][kSlots] and shared.counts say where they are.
template <typename Config, typename F>
DEVICE void each_candidate(const LogitsRow& row, const Candidate* lists, const DrawShared<Config>& shared, F f) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  constexpr int kBatch = 4;
  constexpr int kGroup = 32 * kBatch;  // of a warp: slots of some lists, or a part of a chunk
  constexpr int kListGroups = (kChunks * kSlots + kGroup - 1) / kGroup;
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll 1
  for (int group = static_cast<int>(threadIdx.x / 32); group < kListGroups + kChunks * (kChunk / kGroup);
       group += Config::kThreads / 32) {
    Candidate batch[kBatch];
    bool is_any = false;
    if (group < kListGroups) {
#pragma unroll
      for (int j = 0; j < kBatch; j++) {
        const int slot = group * kGroup + 32 * j + lane;
        const u32 count = slot < kChunks * kSlots ? shared.counts[slot / kSlots] : 0;
        const bool is_there = count <= kSlots && static_cast<u32>(slot % kSlots) < count;
        batch[j] = is_there ? lists[slot] : nothing();
        is_any |= is_there;
      }
    } else {
      const int first = (group - kListGroups) * kGroup;
      is_any = shared.counts[first / kChunk] > kSlots;
      if (!is_any) continue;
#pragma unroll
      for (int j = 0; j < kBatch; j++) {
        const int id = first + 32 * j + lane;
        batch[j] = id < Config::kVocabulary ? Candidate{rank_key(row[id]), id} : nothing();
      }
    }
    if (!__any_sync(0xffffffffu, is_any)) continue;
#pragma unroll
    for (int j = 0; j < kBatch; j++) f(batch[j].key, batch[j].id);
  }
}

// Adds up measure(logit) of the candidates that `cut` keeps with keys from `low` to `high` by buckets
// of 2^shift keys, from the highest down, and lists the first few.
template <typename Config, typename Measure>
DEVICE void fill_buckets(const LogitsRow& row, const Candidate* lists, u32 low, u32 high, int shift, const Cut& cut,
                         Measure measure, DrawShared<Config>& shared) {
  const u32 lane = threadIdx.x % 32;
  shared.low[threadIdx.x] = shared.high[threadIdx.x] = 0u;
  if (threadIdx.x == 0) shared.listed = 0;
  __syncthreads();
  each_candidate<Config>(row, lists, shared, [&](u32 key, int id) {
    const bool is_in = key >= low && key <= high && cut.keeps(key, id);
    const u32 mask = __ballot_sync(0xffffffffu, is_in);
    if (mask == 0) return;
    int at = 0;
    if (lane == 0) at = atomicAdd(&shared.listed, __popc(mask));
    at = __shfl_sync(0xffffffffu, at, 0) + __popc(mask & ((1u << lane) - 1u));
    if (!is_in) return;
    const u64 amount = measure(ranked_value(key));
    if (at < kListed) {
      shared.list[at] = Candidate{key, id};
      shared.masses[at] = amount;
    }
    if (amount != 0) add_to_bucket(shared.low, shared.high, static_cast<int>((high - key) >> shift), amount);
  });
  __syncthreads();
}

// The cut that keeps, of what `cut` keeps, the first in rank whose measures add up to target_of(sum
// of all candidates with keys of at least `low` > 0). Equal logits have equal measures; no key is
// above `high`; 1 <= target <= sum. `masses` [chunks] is scratch.
template <typename Config, typename Measure, typename Target>
DEVICE Cut find_cut(const LogitsRow& row, const Candidate* lists, u32 low, u32 high, const Cut& cut, u64* masses, Measure measure,
                    Target target_of, DrawShared<Config>& shared) {
  u64 before = 0, target = 0;
  // Narrow the keys down until those left fit the list, or to one.
#pragma unroll 1
  for (bool is_first = true;; is_first = false) {
    const int bits = 32 - __clz(static_cast<int>(high - low));
    const int shift = max(bits - (31 - __clz(Config::kThreads)), 0);
    fill_buckets<Config>(row, lists, low, high, shift, cut, measure, shared);
    if (const int listed = shared.listed; listed <= kListed) {
      if (const int own = static_cast<int>(threadIdx.x); own < listed) {
        u64 total = 0, sum = before;
#pragma unroll 1
        for (int i = 0; i < listed; i++) {
          total += shared.masses[i];
          if (ranks_before(shared.list[i], shared.list[own])) sum += shared.masses[i];
        }
        if (is_first) target = target_of(total);
        if (sum < target && target - sum <= shared.masses[own]) shared.found = shared.list[own];
      }
      __syncthreads();
      return Cut{shared.found.key, shared.found.id};
    }
    const u64 own = static_cast<u64>(shared.high[threadIdx.x]) << 32 | shared.low[threadIdx.x];
    const Scan scan = block_scan(own, shared.locate.warps);
    if (is_first) target = target_of(scan.total);
    const u64 sum = before + scan.before;
    if (sum < target && target - sum <= own) {
      shared.bucket = static_cast<int>(threadIdx.x);
      shared.before = sum;
      shared.mass = own;
    }
    __syncthreads();
    before = shared.before;
    high -= static_cast<u32>(shared.bucket) << shift;
    const u32 span = (1u << shift) - 1u;
    if (high - low > span) low = high - span;
    if (low == high) break;
  }

  // Of equal logits the lower ids come first.
  const u64 each = measure(ranked_value(low));
  const u64 wanted = (target - before + each - 1) / each;
  if (wanted * each >= shared.mass) return Cut{low, low == cut.key ? cut.id : 0x7fffffff};
  const auto is_equal = [&](int id, float logit) -> u64 {
    const u32 key = rank_key(logit);
    return id < Config::kVocabulary && key == low && cut.keeps(key, id) ? 1 : 0;
  };
  weigh_chunks<Config>(
      row, 0, chunks_of(Config::kVocabulary), [&](int chunk) { return shared.counts[chunk] > 0; }, is_equal,
      [&](int chunk, u64 sum) { masses[chunk] = sum; });
  __syncthreads();
  return Cut{low, locate<Config>(row, masses, is_equal, [&](u64) { return wanted - 1; }, shared.locate)};
}

// A key that at least `count` of the row's logits reach, and few more where they are few: the
// chunks' largest logits tell.
template <typename Config>
DEVICE u32 key_reached_by(int count, const u32* maxima) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  constexpr int kEach = (kChunks + Config::kThreads - 1) / Config::kThreads;
  u32 own[kEach];
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    const int chunk = i * Config::kThreads + static_cast<int>(threadIdx.x);
    own[i] = chunk < kChunks ? maxima[chunk] : 0u;
  }
  u32 key = 0;
  // The upper half of the bits is sharp enough.
#pragma unroll 1
  for (u32 bit = 0x80000000u; bit >= 0x10000u; bit >>= 1) {
    int reached = 0;
#pragma unroll
    for (int i = 0; i < kEach; i++) reached += __syncthreads_count(own[i] >= (key | bit));
    if (reached >= count) key |= bit;
  }
  return max(key, kLowestKey);
}
