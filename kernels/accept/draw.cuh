// Draws a token from a row of logits: the order is that of the `Sampler` in the reference.
#pragma once
#include "kernels/accept/cut.cuh"
#include "kernels/accept/softmax.cuh"

// The `sampling` operand of the accept ops.
struct Sampling {
  float temperature, top_k, top_p, min_p, repetition_penalty, posterior_threshold, posterior_alpha;
};

// What blocks leave of a row for the one that draws, by chunk: weights added up; with top-k the key of
// the largest logit, otherwise with top-p how many logits are in the list of those that matter to it.
struct RowNotes {
  u64* masses;       // [chunks]
  u32* summaries;    // [chunks]
  Candidate* lists;  // [chunks][kSlots]
};

// Temperature, top-k, top-p over what top-k kept, min-p, then the draw, in two steps: first blocks
// weigh the chunks of a row, each some; then one block draws. The temperature is above 0, and
// `largest`, the row's largest logit, above -infinity.
template <typename Config>
struct Draw {
  static constexpr int kChunks = chunks_of(Config::kVocabulary);
  using Weights = Softmax<weight_bits(Config::kVocabulary)>;
  const LogitsRow& row;
  const Sampling& sampling;
  const RowNotes& notes;
  const Weights softmax;
  const bool has_k, has_p;
  // The largest weight is 1, so a weight is the share of the most probable token.
  const u64 least;

  DEVICE Draw(const LogitsRow& logits, const Sampling& settings, const RowNotes& row_notes, float largest)
      : row(logits),
        sampling(settings),
        notes(row_notes),
        softmax(largest, settings.temperature),
        has_k(settings.top_k >= 1.0f && settings.top_k < static_cast<float>(Config::kVocabulary)),
        has_p(settings.top_p < 1.0f),
        least(__double2ull_ru(static_cast<double>(settings.min_p) * static_cast<double>(Weights::kOne))) {}

  DEVICE void weigh(int begin, int end) const {
    if (has_k) {
      note_maxima(begin, end);
    } else if (has_p) {
      note_candidates(begin, end);
    } else {
      const float powers = Weights::powers_above(least);
      weigh_chunks<Config>(
          row, begin, end, [](int) { return true; },
          [&](int, float logit) {
            const u64 weight = softmax.weight(logit, powers);
            return weight >= least ? weight : 0;
          },
          [&](int chunk, u64 sum) { notes.masses[chunk] = sum; });
    }
  }

  // Once all chunks are weighed: the id whose interval holds `uniform` / 2^53 when the kept weights are
  // laid end to end in id order.
  DEVICE int operator()(u64 uniform, DrawShared<Config>& shared) const {
    Cut cut = no_cut();
    if (has_k || has_p) {
      cut = find(shared);
      for (int chunk = static_cast<int>(threadIdx.x); chunk < kChunks; chunk += Config::kThreads)
        notes.masses[chunk] = 0;
      __syncthreads();
      each_candidate<Config>(row, notes.lists, shared, [&](u32 key, int id) {
        if (key < cut.key) return;
        const u64 weight = kept_weight(cut, id, ranked_value(key));
        if (weight > 0) atomicAdd(notes.masses + id / kChunk, weight);
      });
      __syncthreads();
    }
    return locate<Config>(
        row, notes.masses, [&](int id, float logit) { return kept_weight(cut, id, logit); },
        // floor(uniform · total / 2^53): below the total, as uniform is below 2^53.
        [&](u64 total) { return __umul64hi(uniform, total) << 11 | (uniform * total) >> 53; }, shared.locate);
  }

  DEVICE u64 kept_weight(const Cut& cut, int id, float logit) const {
    if (!cut.keeps(rank_key(logit), id)) return 0;
    const u64 weight = softmax.weight(logit);
    return weight >= least ? weight : 0;
  }

  DEVICE void note_maxima(int begin, int end) const {
#pragma unroll 1
    for (int chunk = begin + static_cast<int>(threadIdx.x / 32); chunk < end; chunk += Config::kThreads / 32) {
      float largest = -__uint_as_float(0x7f800000u);
      each_logit<Config::kVocabulary>(row, chunk, [&](int, float logit) { largest = fmaxf(largest, logit); });
      const u32 key = __reduce_max_sync(0xffffffffu, rank_key(largest));
      if (threadIdx.x % 32 == 0) notes.summaries[chunk] = key;
    }
  }

  // Weights in sums, and the logits that may be kept in lists: whatever the others add up to, the
  // largest weight alone says which are surely not.
  DEVICE void note_candidates(int begin, int end) const {
    const u32 lane = threadIdx.x % 32;
    const u32 low = key_of_share(Weights::kOne);
#pragma unroll 1
    for (int chunk = begin + static_cast<int>(threadIdx.x / 32); chunk < end; chunk += Config::kThreads / 32) {
      u64 sum = 0;
      u32 count = 0;
      each_logit<Config::kVocabulary>(row, chunk, [&](int id, float logit) {
        sum += softmax.weight(logit);
        const u32 key = rank_key(logit);
        const bool is_in = id < Config::kVocabulary && key >= low;
        const u32 mask = __ballot_sync(0xffffffffu, is_in);
        const u32 slot = count + __popc(mask & ((1u << lane) - 1u));
        if (is_in && slot < kSlots) notes.lists[chunk * kSlots + slot] = Candidate{key, id};
        count += __popc(mask);
      });
      sum = warp_sum(sum);
      if (lane != 0) continue;
      notes.masses[chunk] = sum;
      notes.summaries[chunk] = count;
    }
  }

  DEVICE Cut find(DrawShared<Config>& shared) const {
    const u32 high = rank_key(softmax.largest);
    u64 total = 0;
    u32 low = 0;
    if (has_k) {
      low = key_reached_by<Config>(static_cast<int>(sampling.top_k), notes.summaries);
    } else {
      for (int chunk = static_cast<int>(threadIdx.x); chunk < kChunks; chunk += Config::kThreads)
        total += notes.masses[chunk];
      total = block_scan(total, shared.locate.warps).total;
      low = key_of_share(total);
    }
    for (int chunk = static_cast<int>(threadIdx.x); chunk < kChunks; chunk += Config::kThreads) {
      const u32 summary = notes.summaries[chunk];
      shared.counts[chunk] = !has_k ? summary : summary >= low ? kAllOfChunk : 0;
    }
    Cut cut = no_cut();
    // Twice the same search: by count, then by mass. Its first barrier is also for the counts.
#pragma unroll 1
    for (int by_mass = has_k ? 0 : 1; by_mass < (has_p ? 2 : 1); by_mass++) {
      cut = find_cut<Config>(
          row, notes.lists, low, high, cut, notes.masses,
          [&](float logit) -> u64 { return by_mass ? softmax.weight(logit) : 1; },
          [&](u64 sum) -> u64 { return by_mass ? share(has_k ? sum : total) : static_cast<u64>(sampling.top_k); },
          shared);
      low = cut.key;
    }
    return cut;
  }

  // The mass that top-p keeps of a total.
  DEVICE u64 share(u64 total) const {
    const double mass = ceil(static_cast<double>(sampling.top_p) * static_cast<double>(total));
    return max(1ull, min(static_cast<u64>(mass), total));
  }
  // A key which all the logits have, or more, that are needed to reach that share: the rest may weigh
  // total - share together, so none of it matters that weighs less than an equal part of that. Never
  // falls with the total.
  DEVICE u32 key_of_share(u64 total) const {
    const u64 part = (total - share(total)) / Config::kVocabulary;
    // Down to a whole power of two, and a quarter more for rounding. 0 is half a unit, rounded up.
    const int whole = part == 0 ? -1 : 63 - __clzll(static_cast<i64>(part));
    const float powers = static_cast<float>(Weights::kBits - whole) + 0.25f;
    const float distance = powers / softmax.scale + fabsf(softmax.largest) * 0x1p-22f;
    return rank_key(softmax.largest - distance);
  }
};
