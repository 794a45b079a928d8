// A node's row of logits, as drawing sees it.
#pragma once
#include "prelude/types.cuh"

// The logits after the repetition penalty, NaN as -infinity. `seen` has a bit for each token that
// came before, or is null when there is no penalty. Penalised logits are rounded to float.
struct LogitsRow {
  const float* logits;
  const u32* seen;
  float penalty;

  DEVICE float operator[](int id) const {
    float logit = logits[id];
    if (seen != nullptr && (seen[id / 32] >> (id % 32) & 1u)) logit = logit < 0.0f ? logit * penalty : logit / penalty;
    return logit == logit ? logit : -__uint_as_float(0x7f800000u);
  }
};

// f(id, logit) for ids from, from + stride, … below `to`. Loads of four are under way together: one
// block reads a row alone and has nothing else to hide their latency with.
template <typename F>
DEVICE void each_logit(const LogitsRow& row, int from, int to, int stride, F f) {
  constexpr int kBatch = 4;
#pragma unroll 1
  for (int first = from; first < to; first += kBatch * stride) {
    float logits[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      if (first + j * stride < to) logits[j] = row[first + j * stride];
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      if (first + j * stride < to) f(first + j * stride, logits[j]);
    }
  }
}
