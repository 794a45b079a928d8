// The rest of a query's keys: fewer than kBlockKeys + Config::kTreeDepth up to its own, the last of
// which may be nodes of a tree. Their scores are sums over a head's elements and can come from tensor
// cores; the sums over keys run on CUDA cores, key after key in ascending order, so that nothing
// depends on where a tree puts its nodes.
#pragma once
#include "kernels/attention/blocks.cuh"

constexpr int kTailQueries = 16;
// Scores of a slot are this many floats apart: 16-byte aligned, and no two lanes meet in a bank.
constexpr int kScorePitch = kTailQueries + 4;
constexpr int kTailWarps = 4;

// Queries `first` … `first` + 15 of a tile. `shared` is a ring of tiles, then the queries, then
// Config::kWindow slots of scores.
template <typename Config, typename Mask, typename Tile>
DEVICE void attend_tail(const Tile& at, const Mask& mask, int first, int partial,
                        const Partials<Config::kHeadDim>& partials, unsigned char* shared) {
  using Element = typename Config::Element;
  static_assert(Config::kThreads == 32 * kTailWarps, "four queries and sixteen slots a warp");
  constexpr int kHeadSteps = Config::kHeadDim / 16;
  constexpr int kPairs = (Config::kHeadDim / 2 + 31) / 32;
  const float none = minus_infinity();
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const u32 query_rows = shared_address(shared) + Config::kStages * kTileBytes<Config>;
  float* const scores = reinterpret_cast<float*>(shared + Config::kStages * kTileBytes<Config> +
                                                 kTailQueries * kPitchBytes<Config>);

  // The slots from the first to the last that any of the queries needs.
  const int sample = min(first + lane % kTailQueries, at.queries - 1) / Config::kGroup;
  const int begin = __reduce_min_sync(0xffffffffu, prefix_blocks<Config>(mask.position(sample))) * kBlockKeys;
  const int end = __reduce_max_sync(0xffffffffu, mask.end(sample));
  const int chunks = (end - begin + kBlockKeys - 1) / kBlockKeys;

  copy_rows<Config, kTailQueries>(query_rows, [&](int i) { return at.query_source(first + i); });
  cp_async_commit();
  int filled = 0;
  auto fill = [&](u32 tile) {
    const bool values_next = filled >= chunks;
    const int slot = begin + (values_next ? filled - chunks : filled) * kBlockKeys;
    if (filled++ >= 2 * chunks) return;
    const Element* from = (values_next ? at.values : at.keys) + at.slot(slot);
    copy_rows<Config, kBlockKeys>(tile, [&](int i) { return slot + i < end ? from + at.slot(i) : nullptr; });
  };
  TileRing<Config> ring = {shared_address(shared)};
  ring.start(fill);

  int row[2], begin_of[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const int query = first + g + 8 * h;
    row[h] = min(query, at.queries - 1) / Config::kGroup;
    begin_of[h] = query < at.queries ? prefix_blocks<Config>(mask.position(row[h])) * kBlockKeys : end;
  }
  cp_async_wait<Config::kStages - 1>();
  __syncthreads();
  u32 q[kHeadSteps][4];
  load_queries<Config>(q, query_rows);

  for (int chunk = 0; chunk < chunks; chunk++) {
    float score[2][4];
    multiply_keys<Config, 16>(score, q, ring.next(fill) + warp * 16 * kPitchBytes<Config>);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int h = i / 2 % 2, place = chunk * kBlockKeys + warp * 16 + i / 4 * 8 + 2 * t + i % 2;
      const int slot = begin + place;
      const bool seen = slot >= begin_of[h] && slot < end && mask.sees(row[h], slot);
      scores[place * kScorePitch + g + 8 * h] = seen ? score[i / 4][i % 4] * Config::kScale : none;
    }
  }
  __syncthreads();

  // From here on a warp has four queries to itself.
  float* const mine = scores + warp * 4;
  const int places = chunks * kBlockKeys;
  float m[4] = {none, none, none, none};
  for (int place = lane; place < places; place += 32) {
    const auto score = load<float, 4>(mine + place * kScorePitch);
#pragma unroll
    for (int i = 0; i < 4; i++) m[i] = fmaxf(m[i], score[i]);
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    m[i] = warp_max(m[i]);
    // A row that sees nothing: all its weights become zero.
    if (m[i] == none) m[i] = 0.0f;
  }
  for (int place = lane; place < places; place += 32) {
    auto score = load<float, 4>(mine + place * kScorePitch);
#pragma unroll
    for (int i = 0; i < 4; i++) score[i] = exp2_fast(score[i] - m[i]);
    store(mine + place * kScorePitch, score);
  }
  __syncwarp();

  float l[4] = {}, sum[4][kPairs][2] = {};
  for (int chunk = 0; chunk < chunks; chunk++) {
    const unsigned char* const tile = shared + (ring.next(fill) - shared_address(shared)) + lane * 4;
#pragma unroll 1
    for (int half = 0; half < kBlockKeys; half += 32) {
      const float* const weights = mine + (chunk * kBlockKeys + half) * kScorePitch;
      const auto own = load<float, 4>(weights + lane * kScorePitch);
      const bool needed = !(own[0] == 0.0f && own[1] == 0.0f && own[2] == 0.0f && own[3] == 0.0f);
      for (u32 left = __ballot_sync(0xffffffffu, needed); left != 0; left &= left - 1) {
        const int key = __ffs(static_cast<int>(left)) - 1;
        const auto weight = load<float, 4>(weights + key * kScorePitch);
        const unsigned char* const from = tile + (half + key) * kPitchBytes<Config>;
#pragma unroll
        for (int i = 0; i < 4; i++) l[i] += weight[i];
#pragma unroll
        for (int p = 0; p < kPairs; p++) {
          if (Config::kHeadDim % 64 != 0 && lane + 32 * p >= Config::kHeadDim / 2) continue;
          float low, high;
          unpack_pair(Element{}, *reinterpret_cast<const u32*>(from + 128 * p), low, high);
#pragma unroll
          for (int i = 0; i < 4; i++) {
            // Left out, not multiplied by zero: that could turn a zero's sign or make a NaN.
            sum[i][p][0] = weight[i] == 0.0f ? sum[i][p][0] : fmaf(weight[i], low, sum[i][p][0]);
            sum[i][p][1] = weight[i] == 0.0f ? sum[i][p][1] : fmaf(weight[i], high, sum[i][p][1]);
          }
        }
      }
    }
  }
  cp_async_wait<0>();

#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int query = first + warp * 4 + i;
    if (query >= at.queries) continue;
    const int place = at.partial_query(query);
    if (lane == 0) store(partials.sum(partial, place), Vec<float, 2>{m[i], l[i]});
#pragma unroll
    for (int p = 0; p < kPairs; p++) {
      const int pair = lane + 32 * p;
      if (pair < Config::kHeadDim / 2)
        store(partials.accumulator(partial, place) + 2 * pair, Vec<float, 2>{sum[i][p][0], sum[i][p][1]});
    }
  }
}
