// Draws a token from a row of logits: the order is that of the `Sampler` in the reference.
#pragma once
#include "kernels/accept/cut.cuh"
#include "kernels/accept/softmax.cuh"

// The `sampling` operand of the accept ops.
struct Sampling {
  float temperature, top_k, top_p, min_p, repetition_penalty, posterior_threshold, posterior_alpha;
};

// The id whose interval holds `uniform` / 2^53 when the kept weights are laid end to end in id order.
// One block. Each round cuts the ids into a part per warp and goes on in the part that holds it.
template <typename Config, typename Weight>
DEVICE int invert(const LogitsRow& row, Weight weight, u64 uniform, DrawShared<Config::kThreads / 32>& shared) {
  constexpr int kWarps = Config::kThreads / 32;
  static_assert(kWarps >= 2, "parts must be shorter than the whole");
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  int from = 0, to = Config::kVocabulary;
  u64 target = 0;
#pragma unroll 1
  for (bool is_first = true; is_first || to - from > 32; is_first = false) {
    const int part = (to - from + 32 * kWarps - 1) / (32 * kWarps) * 32;
    u64 sum = 0;
    each_logit(row, from + warp * part + lane, min(to, from + (warp + 1) * part), 32,
               [&](int id, float logit) { sum += weight(id, logit); });
    sum = warp_sum(sum);
    if (lane == 0) shared.warps[warp] = sum;
    __syncthreads();
    if (is_first) {
      u64 total = 0;
      for (int w = 0; w < kWarps; w++) total += shared.warps[w];
      // floor(uniform · total / 2^53): below the total, as uniform is below 2^53.
      target = __umul64hi(uniform, total) << 11 | (uniform * total) >> 53;
    }
    int w = 0;
    while (target >= shared.warps[w]) target -= shared.warps[w++];
    from += w * part;
    to = min(to, from + part);
    __syncthreads();
  }
  const int id = from + lane;
  const u64 sum = warp_scan(id < to ? weight(id, row[id]) : 0);
  return from + __ffs(static_cast<int>(__ballot_sync(0xffffffffu, sum > target))) - 1;
}

// Temperature, top-k, top-p over what top-k kept, min-p, then the draw. `first` is the row's largest
// logit, above -infinity; the temperature is above 0.
template <typename Config>
DEVICE int draw(const LogitsRow& row, const Candidate& first, const Sampling& sampling, u64 uniform,
                DrawShared<Config::kThreads / 32>& shared) {
  using Weights = Softmax<weight_bits(Config::kVocabulary)>;
  const float largest = ranked_value(first.key);
  const Weights softmax(largest, sampling.temperature);
  Cut cut = no_cut();
  // Twice the same search: by count, then by mass.
#pragma unroll 1
  for (int by_mass = 0; by_mass < 2; by_mass++) {
    const bool is_on = by_mass ? sampling.top_p < 1.0f
                               : sampling.top_k >= 1.0f && sampling.top_k < static_cast<float>(Config::kVocabulary);
    if (!is_on) continue;
    cut = find_cut<Config>(
        row, largest, cut, [&](float logit) -> u64 { return by_mass ? softmax.weight(logit) : 1; },
        [&](u64 total) -> u64 {
          if (!by_mass) return static_cast<u64>(sampling.top_k);
          const double mass = ceil(static_cast<double>(sampling.top_p) * static_cast<double>(total));
          return max(1ull, min(static_cast<u64>(mass), total));
        },
        shared);
  }
  // The largest weight is 1, so a weight is the share of the most probable token.
  const u64 least = __double2ull_ru(static_cast<double>(sampling.min_p) * static_cast<double>(Weights::kOne));
  const auto weight = [&](int id, float logit) -> u64 {
    if (!cut.keeps(rank_key(logit), id)) return 0;
    const u64 w = softmax.weight(logit);
    return w >= least ? w : 0;
  };
  return invert<Config>(row, weight, uniform, shared);
}
