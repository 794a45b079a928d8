// What plain decoding would draw after each node of a token tree, then the walk by these draws.
#pragma once
#include "kernels/accept/draw.cuh"
#include "kernels/accept/philox.cuh"
#include "kernels/accept/walk.cuh"
#include "kernels/last-block.cuh"

// The largest logit of each tile of a row and its id, as an LM head leaves them: [kTiles] each.
struct TilesBest {
  const float* values;
  const int* ids;
  DEVICE Candidate operator[](int tile) const { return Candidate{rank_key(values[tile]), ids[tile]}; }
};

DEVICE void take_better(Candidate& own, const Candidate& other) {
  if (ranks_before(other, own)) own = other;
}

// The first in rank of a row without a penalty.
template <typename Config>
DEVICE Candidate first_of_tiles(const TilesBest& best, Candidate (&warps)[Config::kThreads / 32]) {
  Candidate own = nothing();
  for (int tile = static_cast<int>(threadIdx.x); tile < Config::kTiles; tile += Config::kThreads)
    take_better(own, best[tile]);
  return block_first(own, warps);
}

// What the repetition penalty is for: the tokens before the root, the node's ancestors' and its own.
template <typename Token, typename Parent, typename History>
struct SeenTokens {
  int node, length, vocabulary;
  const Token& token;
  const Parent& parent;
  const History& history;

  // f(id) in one thread of the block or another, for some more than once.
  template <typename F>
  DEVICE void each(F f) const {
    for (int slot = static_cast<int>(threadIdx.x); slot < length; slot += static_cast<int>(blockDim.x))
      see(history(slot), f);
    if (threadIdx.x != 0) return;
    for (int at = node; at >= 0; at = parent(at)) see(token(at), f);
  }

  template <typename F>
  DEVICE void see(int id, F& f) const {
    if (id >= 0 && id < vocabulary) f(id);
  }
};

// The first in rank of a row with a penalty; `tokens` are those marked in row.seen. A tile's best tells
// of the tile where it is not seen itself; where it is, it only bounds the others, and few tiles are
// so good that they have to be read.
template <typename Config, typename Tokens>
DEVICE Candidate first_of_penalised(const LogitsRow& row, const TilesBest& best, const Tokens& tokens,
                                    Candidate (&warps)[Config::kThreads / 32]) {
  const auto is_seen = [&](const Candidate& of) { return of.id < Config::kVocabulary && row.is_seen(of.id); };
  Candidate own = nothing();
  for (int tile = static_cast<int>(threadIdx.x); tile < Config::kTiles; tile += Config::kThreads) {
    if (!is_seen(best[tile])) take_better(own, best[tile]);
  }
  tokens.each([&](int id) { take_better(own, Candidate{rank_key(row[id]), id}); });
  const Candidate reached = block_first(own, warps);
  for (int tile = static_cast<int>(threadIdx.x / 32); tile < Config::kTiles; tile += Config::kThreads / 32) {
    if (best[tile].key < reached.key || !is_seen(best[tile])) continue;
    const int end = min((tile + 1) * Config::kTileWidth, Config::kVocabulary);
    for (int id = tile * Config::kTileWidth + static_cast<int>(threadIdx.x % 32); id < end; id += 32)
      take_better(own, Candidate{rank_key(row[id]), id});
  }
  __syncthreads();
  return block_first(own, warps);
}

// Config: kVocabulary, kThreads, kTiles of kTileWidth ids.
// Block (x, y) takes part x of node y's row; the last block of a row draws, the last of all walks.
// logits [nodes, kVocabulary], read only at a temperature above 0 or with a repetition penalty; best
// values and ids [nodes][kTiles]; masses, summaries and lists, of each node as in RowNotes, are scratch;
// counters [nodes + 1].
// Writes draws [nodes]: a token, or -1 where no logit is a number above -infinity and for padding.
// token(node), parent(node) and history(slot) are the operands' elements. `work` in shared memory: a
// bit per token, or two words per node.
template <typename Config, typename Token, typename Parent, typename History>
DEVICE void sample(const float* logits, const float* best_values, const int* best_ids, const Sampling& sampling,
                   u64 seed, int nodes, int length, Token token, Parent parent, History history, u64* masses,
                   u32* summaries, Candidate* lists, int* counters, int* draws, const AcceptedPath& out) {
  constexpr int kChunks = chunks_of(Config::kVocabulary);
  __shared__ DrawShared<Config> shared;
  extern __shared__ __align__(16) int work[];
  const size_t node = blockIdx.y;
  const int part = static_cast<int>(blockIdx.x);
  const int parts = static_cast<int>(gridDim.x);
  const bool is_padding = node > 0 && parent(node) < 0;
  const bool is_warm = sampling.temperature > 0.0f;
  if (part > 0 && (is_padding || !is_warm)) return;

  int drawn = -1;
  if (!is_padding) {
    LogitsRow row{logits + node * Config::kVocabulary, nullptr, sampling.repetition_penalty};
    const TilesBest best{best_values + node * Config::kTiles, best_ids + node * Config::kTiles};
    Candidate first;
    if (sampling.repetition_penalty == 1.0f) {
      first = first_of_tiles<Config>(best, shared.firsts);
    } else {
      u32* const seen = reinterpret_cast<u32*>(work);
      for (int word = static_cast<int>(threadIdx.x); word < (Config::kVocabulary + 31) / 32; word += Config::kThreads)
        seen[word] = 0u;
      __syncthreads();
      const SeenTokens<Token, Parent, History> tokens{static_cast<int>(node), length, Config::kVocabulary,
                                                      token,                  parent, history};
      tokens.each([&](int id) { atomicOr(&seen[id / 32], 1u << (id % 32)); });
      __syncthreads();
      row.seen = seen;
      first = first_of_penalised<Config>(row, best, tokens, shared.firsts);
    }
    if (first.key > kLowestKey) drawn = first.id;
    if (is_warm && drawn >= 0) {
      const RowNotes notes{masses + node * kChunks, summaries + node * kChunks, lists + node * kChunks * kSlots};
      const Draw<Config> draw(row, sampling, notes, ranked_value(first.key));
      draw.weigh(kChunks * part / parts, kChunks * (part + 1) / parts);
      if (!arrives_last(counters + node, parts)) return;
      // The token after the root takes position length + 1, every generation below one more.
      int position = length + 1;
      for (int at = parent(node); at >= 0; at = parent(at)) position++;
      drawn = draw(philox_uniform(seed, position), shared);
    } else if (part > 0) {
      return;
    }
  }
  if (threadIdx.x == 0) draws[node] = drawn;
  if (arrives_last(counters + nodes, nodes)) walk_match<Config::kThreads>(draws, nodes, token, parent, out, work);
}
