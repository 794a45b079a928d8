// Attention on CUDA cores: any element types and any head size. A warp owns a query (one head of one
// row); its lanes take a key each for the scores and an element each for the weighted sum. The n-th
// key is found by its position, so a query's sums do not know whether its keys lie side by side.
#pragma once
#include "kernels/attention/partial.cuh"
#include "kernels/attention/partition.cuh"

// Config: Query, Key, Value, Out; kHeads, kKvHeads, kHeadDim, kScale (of scores, times log2 e),
// kVector (elements of a key read at once), kWarps, kWalk (one block does all splits of its queries
// and writes the result; otherwise splits are dealt round gridDim.x blocks and the last to come
// folds their partials), and the splits' sizes.
// Grid: (blocks that share the splits, kv heads, groups of kWarps queries).
template <typename Config, typename Mask>
DEVICE void attention_cuda_cores(const typename Config::Query* q, const typename Config::Key* keys,
                                 const typename Config::Value* values, const Mask& mask, int rows,
                                 typename Config::Out* out, float* accumulators, float* sums, int* counters) {
  constexpr int kHeadDim = Config::kHeadDim;
  constexpr int kGroup = Config::kHeads / Config::kKvHeads;
  constexpr int kVector = Config::kVector;
  // Lanes that take one key's value: heads smaller than a warp let it take several keys at once.
  constexpr int kLanes = kHeadDim <= 4 ? 4 : kHeadDim <= 8 ? 8 : kHeadDim <= 16 ? 16 : 32;
  constexpr int kAtOnce = 32 / kLanes;
  constexpr int kElements = (kHeadDim + kLanes - 1) / kLanes;
  constexpr int kSlot = Config::kKvHeads * kHeadDim;
  __shared__ float queries[Config::kWarps][kHeadDim];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y);
  const int first = static_cast<int>(blockIdx.z) * Config::kWarps;
  const int count = min(Config::kWarps, rows * kGroup - first);
  const bool mine = warp < count;
  // Warps without a query keep to the barriers below.
  const int query = first + (mine ? warp : 0);
  const int row = query / kGroup;
  const int position = mask.position(row);
  const int splits = splits_of<Config>((position + kBlockKeys) / kBlockKeys);
  const size_t element = (static_cast<size_t>(row) * Config::kHeads + head * kGroup + query % kGroup) * kHeadDim;
  const Partials<kHeadDim> partials = {accumulators, sums, rows * Config::kHeads};
  const int partial_query = head * rows * kGroup + query;
  const int element_of_lane = lane % kLanes;
  keys += head * kHeadDim;
  values += head * kHeadDim;

  for (int d = lane; d < kHeadDim; d += 32) queries[warp][d] = to_float(q[element + d]);
  __syncwarp();

  float all_m = 0.0f, all_l = 0.0f, all[kElements];
  const int stride = Config::kWalk ? 1 : static_cast<int>(gridDim.x);
  for (int split = Config::kWalk ? 0 : static_cast<int>(blockIdx.x); mine && split < splits; split += stride) {
    float m = minus_infinity(), l = 0.0f, sum[kElements] = {};
    const int end = min(split_begin<Config>(split + 1) * kBlockKeys, position + 1);
    for (int key = split_begin<Config>(split) * kBlockKeys; key < end; key += 32) {
      const int here = min(end - key, 32);
      int slot = 0;
      float score = minus_infinity();
      if (lane < here) {
        slot = mask.key_slot(row, key + lane);
        const typename Config::Key* const from = keys + static_cast<size_t>(slot) * kSlot;
        float dot = 0.0f;
        for (int d = 0; d < kHeadDim; d += kVector) {
          const auto part = load<typename Config::Key, kVector>(from + d);
#pragma unroll
          for (int i = 0; i < kVector; i++) dot = fmaf(queries[warp][d + i], to_float(part[i]), dot);
        }
        score = dot * Config::kScale;
      }
      const float largest = fmaxf(m, warp_max(score));
      const float keep = exp2_fast(m - largest);
      const float weight = exp2_fast(score - largest);
      m = largest;
      l = fmaf(l, keep, warp_sum(weight));
#pragma unroll
      for (int i = 0; i < kElements; i++) sum[i] *= keep;
      for (int k = 0; k < here; k += kAtOnce) {
        const int turn = k + lane / kLanes;
        const float key_weight = __shfl_sync(0xffffffffu, weight, turn);
        const size_t from = static_cast<size_t>(__shfl_sync(0xffffffffu, slot, turn)) * kSlot;
        if (kAtOnce > 1 && turn >= here) continue;
#pragma unroll
        for (int i = 0; i < kElements; i++) {
          const int d = element_of_lane + kLanes * i;
          if (d < kHeadDim) sum[i] = fmaf(key_weight, to_float(values[from + d]), sum[i]);
        }
      }
    }
#pragma unroll
    for (int offset = kLanes; offset < 32; offset *= 2) sum[0] += __shfl_xor_sync(0xffffffffu, sum[0], offset);
    if constexpr (Config::kWalk) {
      if (split == 0) {
        all_m = m;
        all_l = l;
#pragma unroll
        for (int i = 0; i < kElements; i++) all[i] = sum[i];
      } else {
        const Fold fold = fold_sums(all_m, all_l, m, l);
#pragma unroll
        for (int i = 0; i < kElements; i++) all[i] = fold_value(fold, all[i], sum[i]);
      }
    } else {
      if (lane == 0) store(partials.sum(split, partial_query), Vec<float, 2>{m, l});
#pragma unroll
      for (int i = 0; i < kElements; i++) {
        const int d = element_of_lane + kLanes * i;
        if (lane < kLanes && d < kHeadDim) partials.accumulator(split, partial_query)[d] = sum[i];
      }
    }
  }

  if constexpr (!Config::kWalk) {
    // Blocks without a split do not come: all know from the positions who does.
    int most = 0;
    for (int i = 0; i < count; i++) {
      const int keys_of = mask.position((first + i) / kGroup) + kBlockKeys;
      most = max(most, splits_of<Config>(keys_of / kBlockKeys));
    }
    const int expected = max(1, min(most, stride));
    if (static_cast<int>(blockIdx.x) >= expected) return;
    const int tile = static_cast<int>(blockIdx.z * gridDim.y + blockIdx.y);
    if (!arrives_last(counters + tile, expected)) return;
    for (int split = 0; mine && split < splits; split++) {
      const auto next = load_shared_result<2>(partials.sum(split, partial_query));
      Fold fold = {0.0f, 1.0f};
      if (split == 0) {
        all_m = next[0];
        all_l = next[1];
      } else {
        fold = fold_sums(all_m, all_l, next[0], next[1]);
      }
#pragma unroll
      for (int i = 0; i < kElements; i++) {
        const int d = element_of_lane + kLanes * i;
        if (d >= kHeadDim) continue;
        const float value = load_shared_result<1>(partials.accumulator(split, partial_query) + d)[0];
        all[i] = split == 0 ? value : fold_value(fold, all[i], value);
      }
    }
  }
  if (!mine) return;
  const float scale = splits == 0 ? 0.0f : inverse_sum(all_l);
#pragma unroll
  for (int i = 0; i < kElements; i++) {
    const int d = element_of_lane + kLanes * i;
    if (lane < kLanes && d < kHeadDim) out[element + d] = from_float<typename Config::Out>(splits == 0 ? 0.0f : all[i] * scale);
  }
}
