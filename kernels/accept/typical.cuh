// Typical acceptance (Medusa, 2401.10774, section 2.3.1): which children of a node pass.
#pragma once
#include "kernels/accept/sample.cuh"

// Σ -p · ln(p + 1e-5) over a row, in fixed point with 44 fraction bits.
template <typename Config, typename Weights>
DEVICE double entropy(const LogitsRow& row, const Weights& softmax, u64 total, u64 (&warps)[Config::kThreads / 32]) {
  const float inverse = static_cast<float>(1.0 / static_cast<double>(total));
  u64 sum = 0;
  each_logit(row, static_cast<int>(threadIdx.x), Config::kVocabulary, Config::kThreads, [&](int, float logit) {
    const float p = static_cast<float>(softmax.weight(logit)) * inverse;
    sum += static_cast<u64>(__float2ll_rn(p * logf(p + 1e-5f) * -0x1p44f));
  });
  return static_cast<double>(static_cast<i64>(block_scan(sum, warps).total)) * 0x1p-44;
}

// Config and operands as in `sample`; at a temperature of 0 only the draws are written. Writes
// draws [nodes] (the largest logit's token, or -1) and for every node with a parent its gain [nodes]:
// ln p of its token after its parent, or -infinity where it does not pass.
template <typename Config, typename Token, typename Parent>
DEVICE void typical(const float* logits, const float* best_values, const int* best_ids, const Sampling& sampling,
                    int nodes, Token token, Parent parent, int* draws, double* gains) {
  __shared__ DrawShared<Config::kThreads / 32> shared;
  const int node = static_cast<int>(blockIdx.x);
  const bool is_padding = node > 0 && parent(node) < 0;
  const LogitsRow row{logits + static_cast<size_t>(node) * Config::kVocabulary, nullptr, 1.0f};
  const Candidate first = is_padding          ? nothing()
                          : Config::kTiles > 0 ? first_of_tiles<Config>(best_values, best_ids, node, shared)
                                               : first_of_row<Config>(row, shared);
  const bool has_choice = first.key > kLowestKey;
  if (threadIdx.x == 0) draws[node] = has_choice ? first.id : -1;
  if (sampling.temperature == 0.0f) return;

  const Softmax<weight_bits(Config::kVocabulary)> softmax(ranked_value(first.key), sampling.temperature);
  u64 total = 1;
  double threshold = 0.0;
  if (has_choice) {
    u64 sum = 0;
    each_logit(row, static_cast<int>(threadIdx.x), Config::kVocabulary, Config::kThreads,
               [&](int, float logit) { sum += softmax.weight(logit); });
    total = block_scan(sum, shared.warps).total;
    const double unsure = sampling.posterior_alpha * exp(-entropy<Config>(row, softmax, total, shared.warps));
    threshold = fmin(static_cast<double>(sampling.posterior_threshold), unsure);
  }
  for (int child = node + 1 + static_cast<int>(threadIdx.x); child < nodes; child += Config::kThreads) {
    if (parent(child) != node) continue;
    const int id = token(child);
    const bool is_token = has_choice && id >= 0 && id < Config::kVocabulary;
    const double p = is_token ? static_cast<double>(softmax.weight(row[id])) / static_cast<double>(total) : 0.0;
    gains[child] = p > threshold ? log(p) : -__longlong_as_double(0x7ff0000000000000ll);
  }
}
