// Typical acceptance (Medusa, 2401.10774, section 2.3.1): which children of a node pass.
#pragma once
#include "kernels/accept/sample.cuh"

// Both kernels: Config as in `sample`; block (x, y) takes part x of node y's row.

// The largest logits' tokens into draws [nodes], -1 where there is none and for padding; above a
// temperature of 0 the chunks' weights into masses [nodes][chunks].
template <typename Config, typename Parent>
DEVICE void typical_weights(const float* logits, const float* best_values, const int* best_ids,
                            const Sampling& sampling, Parent parent, u64* masses, int* draws) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  __shared__ Candidate firsts[Config::kThreads / 32];
  const size_t node = blockIdx.y;
  const int part = static_cast<int>(blockIdx.x);
  const int parts = static_cast<int>(gridDim.x);
  const bool is_padding = node > 0 && parent(node) < 0;
  const TilesBest best{best_values + node * Config::kTiles, best_ids + node * Config::kTiles};
  const Candidate first = is_padding ? nothing() : first_of_tiles<Config>(best, firsts);
  const bool has_choice = first.key > kLowestKey;
  if (part == 0 && threadIdx.x == 0) draws[node] = has_choice ? first.id : -1;
  if (!has_choice || sampling.temperature == 0.0f) return;
  const Softmax<weight_bits(Config::kVocabulary)> softmax(ranked_value(first.key), sampling.temperature);
  weigh_chunks<Config>(
      LogitsRow{logits + node * Config::kVocabulary, nullptr, 1.0f}, kChunks * part / parts,
      kChunks * (part + 1) / parts, [](int) { return true; }, [&](int, float logit) { return softmax.weight(logit); },
      [&](int chunk, u64 sum) { masses[node * kChunks + chunk] = sum; });
}

// The sum of a row's chunks, in all threads.
template <typename Config>
DEVICE u64 sum_of_chunks(const u64* masses, u64 (&warps)[Config::kThreads / 32]) {
  u64 sum = 0;
  for (int chunk = static_cast<int>(threadIdx.x); chunk < chunks_of(Config::kVocabulary); chunk += Config::kThreads)
    sum += masses[chunk];
  return block_scan(sum, warps).total;
}

// After that, above a temperature of 0: the gain of every node with a parent, gains [nodes]: ln p of
// its token after its parent, or -infinity where it does not pass. entropies [nodes][chunks] is
// scratch: Σ -p · ln(p + 1e-5) in fixed point with 44 fraction bits. counters [nodes].
template <typename Config, typename Token, typename Parent>
DEVICE void typical_gains(const float* logits, const Sampling& sampling, int nodes, Token token, Parent parent,
                          const int* draws, const u64* masses, u64* entropies, int* counters, double* gains) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  __shared__ u64 warps[Config::kThreads / 32];
  if (sampling.temperature == 0.0f) return;
  const size_t node = blockIdx.y;
  const int part = static_cast<int>(blockIdx.x);
  const int parts = static_cast<int>(gridDim.x);
  const int first = draws[node];
  const bool has_choice = first >= 0;
  if (!has_choice && part > 0) return;
  const LogitsRow row{logits + node * Config::kVocabulary, nullptr, 1.0f};
  const Softmax<weight_bits(Config::kVocabulary)> softmax(has_choice ? row[first] : 0.0f, sampling.temperature);
  u64 total = 1;
  double threshold = 0.0;
  if (has_choice) {
    total = sum_of_chunks<Config>(masses + node * kChunks, warps);
    const float inverse = static_cast<float>(1.0 / static_cast<double>(total));
    weigh_chunks<Config>(
        row, kChunks * part / parts, kChunks * (part + 1) / parts, [](int) { return true; },
        [&](int, float logit) {
          const float p = static_cast<float>(softmax.weight(logit)) * inverse;
          return static_cast<u64>(__float2ll_rn(p * logf(p + 1e-5f) * -0x1p44f));
        },
        [&](int chunk, u64 sum) { entropies[node * kChunks + chunk] = sum; });
    if (!arrives_last(counters + node, parts)) return;
    const i64 sum = static_cast<i64>(sum_of_chunks<Config>(entropies + node * kChunks, warps));
    const double unsure = sampling.posterior_alpha * exp(-(static_cast<double>(sum) * 0x1p-44));
    threshold = fmin(static_cast<double>(sampling.posterior_threshold), unsure);
  }
  for (int child = static_cast<int>(node + 1 + threadIdx.x); child < nodes; child += Config::kThreads) {
    if (parent(child) != static_cast<int>(node)) continue;
    const int id = token(child);
    const bool is_token = has_choice && id >= 0 && id < Config::kVocabulary;
    const double p = is_token ? static_cast<double>(softmax.weight(row[id])) / static_cast<double>(total) : 0.0;
    gains[child] = p > threshold ? log(p) : -__longlong_as_double(0x7ff0000000000000ll);
  }
}
