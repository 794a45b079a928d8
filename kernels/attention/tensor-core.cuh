// Attention on tensor cores: 16-bit queries, keys and values of one type, heads of a multiple of 16.
// A launch holds, for each kv head and each tile of queries, blocks that do the splits of the prefix
// (blocks.cuh) and blocks that do the rest of the keys (tail.cuh); the last to be ready folds the
// partial results.
#pragma once
#include "kernels/attention/tail.cuh"

// Queries of a kv head: query i is head i % kGroup of the group, in row i / kGroup. `keys` and
// `values` point to the head in slot 0.
template <typename Config>
struct QueryTile {
  const typename Config::Element* q;
  const typename Config::Element* keys;
  const typename Config::Element* values;
  int head;
  int first;
  int queries;
  DEVICE static size_t slot(int slot) { return static_cast<size_t>(slot) * (Config::kKvHeads * Config::kHeadDim); }
  // Where query i's elements are in q, and in the result.
  DEVICE size_t element(int i) const {
    const int row = i / Config::kGroup;
    return (static_cast<size_t>(row) * Config::kHeads + head * Config::kGroup + i % Config::kGroup) * Config::kHeadDim;
  }
  DEVICE const typename Config::Element* query_source(int i) const { return i < queries ? q + element(i) : nullptr; }
  DEVICE int partial_query(int i) const { return head * queries + i; }
};

// The partials of a tile's queries folded in ascending order, the tail's last, and divided.
template <typename Config, typename Mask>
DEVICE void fold_tile(const QueryTile<Config>& at, const Mask& mask, int tail,
                      const Partials<Config::kHeadDim>& partials, typename Config::Out* out) {
  using Out = typename Config::Out;
  constexpr int kVectors = Config::kHeadDim / 4;
  const int count = min(Config::kTile, at.queries - at.first);
  for (int i = static_cast<int>(threadIdx.x); i < count * kVectors; i += Config::kThreads) {
    const int query = at.first + i / kVectors, d = i % kVectors * 4;
    const int place = at.partial_query(query);
    const int splits = splits_of<Config>(prefix_blocks<Config>(mask.position(query / Config::kGroup)));
    const int walked = Config::kWalk ? min(splits, 1) : splits;
    float m = 0.0f, l = 0.0f;
    Vec<float, 4> value;
    // Addresses are known before any result is: eight partials are under way at a time.
#pragma unroll 8
    for (int p = 0; p <= walked; p++) {
      const int partial = p == walked ? tail : p;
      const auto sums = load_shared_result<2>(partials.sum(partial, place));
      const auto next = load_shared_result<4>(partials.accumulator(partial, place) + d);
      if (p == 0) {
        m = sums[0];
        l = sums[1];
        value = next;
      } else {
        const Fold fold = fold_sums(m, l, sums[0], sums[1]);
#pragma unroll
        for (int e = 0; e < 4; e++) value[e] = fold_value(fold, value[e], next[e]);
      }
    }
    const float scale = inverse_sum(l);
    Vec<Out, 4> result;
#pragma unroll
    for (int e = 0; e < 4; e++) result[e] = from_float<Out>(value[e] * scale);
    store(out + at.element(query) + d, result);
  }
}

// Config: Element, Out; kHeads, kKvHeads, kGroup (heads of a kv head), kHeadDim, kScale (of scores,
// times log2 e), kTile (queries of a tile), kKeyWarps (warps that share 16 of them), kThreads,
// kStages (tiles of the ring), kWindow (slots of a tail), kWalk (one block does all splits of a
// tile), kTreeDepth and the splits' sizes, kSharedBytes.
// Partials 0 … `tail` - 1 are the splits', partial `tail` is the tail's.
// Grid: (kTile / 16 tails, then the blocks that share the splits; kv heads; tiles).
template <typename Config, typename Mask>
DEVICE void attention_tensor_cores(const typename Config::Element* q, const typename Config::Element* keys,
                                   const typename Config::Element* values, const Mask& mask, int rows,
                                   typename Config::Out* out, int tail, float* accumulators, float* sums,
                                   int* counters) {
  static_assert(Config::kStages * kTileBytes<Config> + Config::kTile * kPitchBytes<Config> +
                            WeightExchange<Config>::kBytes <= Config::kSharedBytes &&
                    Config::kStages * kTileBytes<Config> + kTailQueries * kPitchBytes<Config> +
                            Config::kWindow * kScorePitch * 4 <= Config::kSharedBytes,
                "shared memory");
  extern __shared__ __align__(16) unsigned char shared[];
  constexpr int kTails = Config::kTile / kTailQueries;
  const int head = static_cast<int>(blockIdx.y);
  // The tiles at the end see most keys under a causal mask: they start first.
  const int tile = static_cast<int>(gridDim.z - 1 - blockIdx.z);
  const int queries = rows * Config::kGroup;
  const QueryTile<Config> at = {q, keys + head * Config::kHeadDim, values + head * Config::kHeadDim,
                                head, tile * Config::kTile, queries};
  const Partials<Config::kHeadDim> partials = {accumulators, sums, Config::kKvHeads * queries};
  const int count = min(Config::kTile, queries - at.first);
  const int tails = (count + kTailQueries - 1) / kTailQueries;

  int blocks = 0;
  for (int i = static_cast<int>(threadIdx.x) % 32; i < count; i += 32)
    blocks = max(blocks, prefix_blocks<Config>(mask.position((at.first + i) / Config::kGroup)));
  blocks = __reduce_max_sync(0xffffffffu, blocks);

  const int part = static_cast<int>(blockIdx.x);
  const int worker = part - kTails, workers = static_cast<int>(gridDim.x) - kTails;
  const int splits = splits_of<Config>(blocks);
  if (part < kTails) {
    if (part >= tails) return;
    attend_tail<Config>(at, mask, at.first + part * kTailQueries, tail, partials, shared);
  } else {
    if (worker >= splits) return;
    attend_blocks<Config>(at, mask, worker, workers, blocks, partials, shared);
  }
  if (arrives_last(counters + tile * Config::kKvHeads + head, tails + min(workers, splits)))
    fold_tile<Config>(at, mask, tail, partials, out);
}
