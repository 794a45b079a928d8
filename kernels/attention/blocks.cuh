// The part of a query's keys that goes through tensor cores: blocks of kBlockKeys keys that end at
// least Config::kTreeDepth positions before the query's own. They lie before any slot of a tree, and
// every query that a block counts for sees all of it: there is no mask here.
#pragma once
#include "kernels/attention/partial.cuh"
#include "kernels/attention/tiles.cuh"

template <typename Config>
DEVICE int prefix_blocks(int position) {
  return max(position - Config::kTreeDepth, 0) / kBlockKeys;
}

// The blocks of splits `split`, `split` + `stride`, ….
template <typename Config>
struct BlockCursor {
  int split, stride, block, end;
  DEVICE BlockCursor(int first, int step)
      : split(first), stride(step), block(split_begin<Config>(first)), end(split_begin<Config>(first + 1)) {}
  DEVICE bool starts_split() const { return block == split_begin<Config>(split); }
  DEVICE void advance() {
    if (++block < end) return;
    split += stride;
    block = split_begin<Config>(split);
    end = split_begin<Config>(split + 1);
  }
};

// 16-bit weights of the values, and the row maxima of the warps that share queries.
template <typename Config>
struct WeightExchange {
  static constexpr int kPitch = kBlockKeys * 2 + 16;
  static constexpr int kBytes = Config::kKeyWarps == 1 ? 0 : Config::kTile * (kPitch + Config::kKeyWarps * 4);
};

// All blocks of the splits that are this block's: writes a partial per query and split, or one per
// query when it walks over all. Config::kKeyWarps warps share 16 queries: each takes some of a
// block's keys for the scores and some of a head's elements for the sums, which changes no sum.
// `shared` is a ring of tiles, then the queries, then the exchange.
template <typename Config, typename Mask, typename Tile>
DEVICE void attend_blocks(const Tile& at, const Mask& mask, int worker, int workers, int blocks,
                          const Partials<Config::kHeadDim>& partials, unsigned char* shared) {
  using Element = typename Config::Element;
  constexpr int kKeyWarps = Config::kKeyWarps;
  constexpr int kKeys = kBlockKeys / kKeyWarps;
  constexpr int kHeadSteps = Config::kHeadDim / 16;
  constexpr int kSteps = (kHeadSteps + kKeyWarps - 1) / kKeyWarps;
  constexpr int kWeightPitch = WeightExchange<Config>::kPitch;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const int key_warp = static_cast<int>(threadIdx.x) / 32 % kKeyWarps;
  const int first_row = static_cast<int>(threadIdx.x) / 32 / kKeyWarps * 16;
  const u32 query_rows = shared_address(shared) + Config::kStages * kTileBytes<Config>;
  const u32 weight_rows = query_rows + Config::kTile * kPitchBytes<Config>;
  unsigned char* const exchange = shared + Config::kStages * kTileBytes<Config> + Config::kTile * kPitchBytes<Config>;
  float* const maxima = reinterpret_cast<float*>(exchange + Config::kTile * kWeightPitch);

  copy_rows<Config, Config::kTile>(query_rows, [&](int i) { return at.query_source(at.first + i); });
  cp_async_commit();
  BlockCursor<Config> ahead(worker, workers);
  bool values_next = false;
  auto fill = [&](u32 tile) {
    if (ahead.block >= blocks) return;
    const Element* from = (values_next ? at.values : at.keys) + at.slot(ahead.block * kBlockKeys);
    copy_rows<Config, kBlockKeys>(tile, [&](int i) { return from + at.slot(i); });
    if (values_next) ahead.advance();
    values_next = !values_next;
  };
  TileRing<Config> ring = {shared_address(shared)};
  ring.start(fill);

  // Blocks that count for this thread's two queries, and their place among the partials.
  int blocks_of[2], query[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    query[h] = at.first + first_row + g + 8 * h;
    blocks_of[h] = query[h] < at.queries ? prefix_blocks<Config>(mask.position(query[h] / Config::kGroup)) : 0;
  }
  cp_async_wait<Config::kStages - 1>();
  __syncthreads();
  u32 q[kHeadSteps][4];
  load_queries<Config>(q, query_rows + first_row * kPitchBytes<Config>);

  float m[2], sum[4], value[kSteps][2][4], walked_m[2], walked_l[2];
  for (BlockCursor<Config> now(worker, workers); now.block < blocks; now.advance()) {
    if (now.starts_split()) {
      m[0] = m[1] = minus_infinity();
#pragma unroll
      for (int i = 0; i < 4; i++) sum[i] = 0.0f;
#pragma unroll
      for (int i = 0; i < kSteps * 8; i++) value[i / 8][i / 4 % 2][i % 4] = 0.0f;
    }
    float score[kKeys / 8][4];
    multiply_keys<Config, kKeys>(score, q, ring.next(fill) + key_warp * kKeys * kPitchBytes<Config>);

    float largest[2] = {m[0], m[1]};
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        score[n][i] *= Config::kScale;
        largest[i / 2] = fmaxf(largest[i / 2], score[n][i]);
      }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
      largest[h] = fmaxf(largest[h], __shfl_xor_sync(0xffffffffu, largest[h], 1));
      largest[h] = fmaxf(largest[h], __shfl_xor_sync(0xffffffffu, largest[h], 2));
    }
    if constexpr (kKeyWarps > 1) {
#pragma unroll
      for (int h = 0; h < 2; h++)
        if (t == 0) maxima[key_warp * Config::kTile + first_row + g + 8 * h] = largest[h];
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kKeyWarps * 2; i++)
        largest[i % 2] = fmaxf(largest[i % 2], maxima[i / 2 * Config::kTile + first_row + g + i % 2 * 8]);
    }
    float keep[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      keep[h] = exp2_fast(m[h] - largest[h]);
      m[h] = largest[h];
    }
#pragma unroll
    for (int i = 0; i < 4; i++) sum[i] *= keep[i / 2];
#pragma unroll
    for (int i = 0; i < kSteps * 8; i++) value[i / 8][i / 4 % 2][i % 4] *= keep[i / 2 % 2];

    u32 weight[kKeys / 8][2];
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
      for (int h = 0; h < 2; h++)
        weight[n][h] = pack_pair(Element{}, exp2_fast(score[n][2 * h] - m[h]), exp2_fast(score[n][2 * h + 1] - m[h]));
    }
    if constexpr (kKeyWarps > 1) {
#pragma unroll
      for (int i = 0; i < kKeys / 4; i++) {
        const int row = first_row + g + i % 2 * 8, column = key_warp * kKeys + i / 2 * 8 + 2 * t;
        *reinterpret_cast<u32*>(exchange + row * kWeightPitch + column * 2) = weight[i / 2][i % 2];
      }
    }

    const u32 tile = ring.next(fill) + lane % 16 * kPitchBytes<Config> + lane / 16 * 16;
#pragma unroll
    for (int k = 0; k < kBlockKeys / 16; k++) {
      u32 a[4];
      if constexpr (kKeyWarps > 1) {
        ldmatrix_x4(a, weight_rows + (first_row + lane % 16) * kWeightPitch + lane / 16 * 16 + k * 32);
      } else {
#pragma unroll
        for (int i = 0; i < 4; i++) a[i] = weight[2 * k + i / 2][i % 2];
      }
      // The sum of the rounded weights is one more product, with ones.
      const u32 ones = pack_pair(Element{}, 1.0f, 1.0f);
      mma_16x8x16(Element{}, sum, a, ones, ones);
#pragma unroll
      for (int i = 0; i < kSteps; i++) {
        const int step = key_warp * kSteps + i;
        if (kHeadSteps % kKeyWarps != 0 && step >= kHeadSteps) continue;
        u32 b[4];
        ldmatrix_x4_trans(b, tile + k * 16 * kPitchBytes<Config> + step * 32);
        mma_16x8x16(Element{}, value[i][0], a, b[0], b[1]);
        mma_16x8x16(Element{}, value[i][1], a, b[2], b[3]);
      }
    }

    // A query for which no further block of the split counts leaves with what it has; blocks that
    // the tile's other queries still need spoil registers that nobody reads any more.
#pragma unroll
    for (int h = 0; h < 2; h++) {
      if (now.block + 1 != min(now.end, blocks_of[h])) continue;
      float l = sum[2 * h], all_m = m[h], all_l = l;
      const int partial = Config::kWalk ? 0 : now.split;
      const int place = at.partial_query(query[h]);
      const bool folds = Config::kWalk && now.split > 0;
      Fold fold = {0.0f, 1.0f};
      if constexpr (Config::kWalk) {
        if (folds) {
          all_m = walked_m[h];
          all_l = walked_l[h];
          fold = fold_sums(all_m, all_l, m[h], l);
        }
        walked_m[h] = all_m;
        walked_l[h] = all_l;
      }
      if (key_warp == 0 && t == 0) store(partials.sum(partial, place), Vec<float, 2>{all_m, all_l});
#pragma unroll
      for (int i = 0; i < kSteps * 2; i++) {
        const int step = key_warp * kSteps + i / 2;
        if (kHeadSteps % kKeyWarps != 0 && step >= kHeadSteps) continue;
        float* const to = partials.accumulator(partial, place) + step * 16 + i % 2 * 8 + 2 * t;
        Vec<float, 2> result = {value[i / 2][i % 2][2 * h], value[i / 2][i % 2][2 * h + 1]};
        if (folds) {
          const auto before = load<float, 2>(to);
          result[0] = fold_value(fold, before[0], result[0]);
          result[1] = fold_value(fold, before[1], result[1]);
        }
        store(to, result);
      }
    }
  }
  cp_async_wait<0>();
}
