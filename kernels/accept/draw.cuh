// Draws a token from a row of logits: the order is that of the `Sampler` in the reference.
#pragma once
#include "kernels/accept/cut.cuh"
#include "kernels/accept/softmax.cuh"

// The `sampling` operand of the accept ops.
struct Sampling {
  float temperature, top_k, top_p, min_p, repetition_penalty, posterior_threshold, posterior_alpha;
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
  const Weights softmax;
  const bool has_k, has_p;
  // The largest weight is 1, so a weight is the share of the most probable token.
  const u64 least;

  DEVICE Draw(const LogitsRow& logits, const Sampling& settings, float largest)
      : row(logits),
        sampling(settings),
        softmax(largest, settings.temperature),
        has_k(settings.top_k >= 1.0f && settings.top_k < static_cast<float>(Config::kVocabulary)),
        has_p(settings.top_p < 1.0f),
        least(__double2ull_ru(static_cast<double>(settings.min_p) * static_cast<double>(Weights::kOne))) {}

  // What top-p is a part of counts less probable tokens too.
  DEVICE u64 chunk_weight(float logit) const {
    const u64 weight = softmax.weight(logit);
    return has_k || has_p || weight >= least ? weight : 0;
  }

  // `masses` and `maxima` [kChunks] are the row's.
  DEVICE void weigh(int begin, int end, u64* masses, u32* maxima) const {
    weigh_chunks<Config>(
        row, begin, end, [](int) { return true; }, [&](int, float logit) { return chunk_weight(logit); },
        [&](int chunk, u64 sum, u32 key) {
          masses[chunk] = sum;
          maxima[chunk] = key;
        });
  }

  // Once all chunks are weighed: the id whose interval holds `uniform` / 2^53 when the kept weights are
  // laid end to end in id order.
  DEVICE int operator()(u64 uniform, u64* masses, const u32* maxima, DrawShared<Config>& shared) const {
    Cut cut = no_cut();
    if (has_k || has_p) {
      cut = find(masses, maxima, shared);
      weigh_chunks<Config>(
          row, 0, kChunks, [&](int chunk) { return shared.maxima[chunk] >= cut.key; },
          [&](int id, float logit) { return kept_weight(cut, id, logit); },
          [&](int chunk, u64 sum, u32) { masses[chunk] = sum; });
      __syncthreads();
    }
    return locate<Config>(
        row, masses, [&](int id, float logit) { return kept_weight(cut, id, logit); },
        // floor(uniform · total / 2^53): below the total, as uniform is below 2^53.
        [&](u64 total) { return __umul64hi(uniform, total) << 11 | (uniform * total) >> 53; }, shared.locate);
  }

 private:
  DEVICE u64 kept_weight(const Cut& cut, int id, float logit) const {
    if (!cut.keeps(rank_key(logit), id)) return 0;
    const u64 weight = softmax.weight(logit);
    return weight >= least ? weight : 0;
  }

  DEVICE Cut find(u64* masses, const u32* maxima, DrawShared<Config>& shared) const {
    u64 sum = 0;
#pragma unroll
    for (int i = 0; i < kChunks; i += Config::kThreads) {
      const int chunk = i + static_cast<int>(threadIdx.x);
      if (chunk >= kChunks) continue;
      shared.maxima[chunk] = maxima[chunk];
      sum += masses[chunk];
    }
    // The barriers of this sum are the maxima's too.
    const u64 total = block_scan(sum, shared.locate.warps).total;
    const u32 high = rank_key(softmax.largest);
    Cut cut = no_cut();
    // Twice the same search: by count, then by mass.
#pragma unroll 1
    for (int by_mass = has_k ? 0 : 1; by_mass < (has_p ? 2 : 1); by_mass++) {
      const u32 low = by_mass == 0 ? key_reached_by(static_cast<int>(sampling.top_k), shared)
                      : has_k      ? cut.key
                                   : key_of_share(total);
      cut = find_cut<Config>(
          row, low, high, cut, masses, [&](float logit) -> u64 { return by_mass ? softmax.weight(logit) : 1; },
          [&](u64 sum_of_all) -> u64 { return by_mass ? share(has_k ? sum_of_all : total) : static_cast<u64>(sampling.top_k); },
          shared);
    }
    return cut;
  }

  // The mass that top-p keeps of a total.
  DEVICE u64 share(u64 total) const {
    const double mass = ceil(static_cast<double>(sampling.top_p) * static_cast<double>(total));
    return max(1ull, min(static_cast<u64>(mass), total));
  }
  // A key which all the logits have, or more, that are needed to reach that share: the rest may weigh
  // total - share together, so none of it matters that weighs less than an equal part of that.
  DEVICE u32 key_of_share(u64 total) const {
    const u64 part = (total - share(total)) / Config::kVocabulary;
    // Whole powers of two, one more than it takes: there is rounding, of the difference of logits too.
    const float powers = static_cast<float>(Weights::kBits + 4 - (part == 0 ? 0 : 65 - __clzll(static_cast<i64>(part))));
    const float distance = powers / softmax.scale + fabsf(softmax.largest) * 0x1p-22f;
    return rank_key(softmax.largest - distance);
  }
};
