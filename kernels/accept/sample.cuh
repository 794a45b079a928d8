// What plain decoding would draw after each node of a token tree, one block per node.
#pragma once
#include "kernels/accept/draw.cuh"
#include "kernels/accept/philox.cuh"

// The first in rank of a row: of its tiles' best where they are at hand, of all its logits otherwise.
template <typename Config>
DEVICE Candidate first_of_tiles(const float* values, const int* ids, int node,
                                DrawShared<Config::kThreads / 32>& shared) {
  Candidate own = nothing();
  const size_t lists = static_cast<size_t>(node) * Config::kTiles;
  for (int tile = static_cast<int>(threadIdx.x); tile < Config::kTiles; tile += Config::kThreads) {
    const Candidate other{rank_key(values[lists + tile]), ids[lists + tile]};
    if (ranks_before(other, own)) own = other;
  }
  return block_first(own, shared.firsts);
}
template <typename Config>
DEVICE Candidate first_of_row(const LogitsRow& row, DrawShared<Config::kThreads / 32>& shared) {
  Candidate own = nothing();
  each_logit(row, static_cast<int>(threadIdx.x), Config::kVocabulary, Config::kThreads, [&](int id, float logit) {
    const Candidate other{rank_key(logit), id};
    if (ranks_before(other, own)) own = other;
  });
  return block_first(own, shared.firsts);
}

// Marks the tokens before the root, the node's ancestors' and its own in `seen`.
template <typename Config, typename Token, typename Parent, typename History>
DEVICE void mark_seen(u32* seen, int node, int length, Token token, Parent parent, History history) {
  constexpr int kWords = (Config::kVocabulary + 31) / 32;
  const auto mark = [&](int id) {
    if (id >= 0 && id < Config::kVocabulary) atomicOr(&seen[id / 32], 1u << (id % 32));
  };
  for (int word = static_cast<int>(threadIdx.x); word < kWords; word += Config::kThreads) seen[word] = 0u;
  __syncthreads();
  for (int slot = static_cast<int>(threadIdx.x); slot < length; slot += Config::kThreads) mark(history(slot));
  if (threadIdx.x == 0) {
    for (int at = node; at >= 0; at = parent(at)) mark(token(at));
  }
  __syncthreads();
}

// Config: kVocabulary, kThreads, kTiles (0 when there are no tiles' best).
// logits [nodes, kVocabulary], read only at a temperature above 0 or with a repetition penalty when
// there are tiles; best values and ids [nodes][kTiles]; seen [nodes][kVocabulary / 32 rounded up] is
// scratch. Writes draws [nodes]: a token, or -1 where no logit is a number above -infinity and for
// padding. token(node), parent(node) and history(slot) are the operands' elements.
template <typename Config, typename Token, typename Parent, typename History>
DEVICE void sample(const float* logits, const float* best_values, const int* best_ids, const Sampling& sampling,
                   u64 seed, int length, Token token, Parent parent, History history, u32* seen, int* draws) {
  __shared__ DrawShared<Config::kThreads / 32> shared;
  const int node = static_cast<int>(blockIdx.x);
  if (node > 0 && parent(node) < 0) {
    if (threadIdx.x == 0) draws[node] = -1;
    return;
  }
  LogitsRow row{logits + static_cast<size_t>(node) * Config::kVocabulary, nullptr, sampling.repetition_penalty};
  const bool is_penalised = sampling.repetition_penalty != 1.0f;
  if (is_penalised) {
    u32* own = seen + static_cast<size_t>(node) * ((Config::kVocabulary + 31) / 32);
    mark_seen<Config>(own, node, length, token, parent, history);
    row.seen = own;
  }
  const Candidate first = Config::kTiles > 0 && !is_penalised
                              ? first_of_tiles<Config>(best_values, best_ids, node, shared)
                              : first_of_row<Config>(row, shared);
  int drawn = first.key > kLowestKey ? first.id : -1;
  if (drawn >= 0 && sampling.temperature > 0.0f) {
    // The token after the root takes position length + 1, every generation below one more.
    int position = length + 1;
    for (int at = parent(node); at >= 0; at = parent(at)) position++;
    drawn = draw<Config>(row, first, sampling, philox_uniform(seed, position), shared);
  }
  if (threadIdx.x == 0) draws[node] = drawn;
}
