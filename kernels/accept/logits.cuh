// A node's row of logits, as drawing sees it.
#pragma once
#include "prelude/types.cuh"

// The logits after the repetition penalty, NaN as -infinity. `seen` has a bit for each token that
// came before, or is null when there is no penalty. Penalised logits are rounded to float.
struct LogitsRow {
  const float* logits;
  const u32* seen;
  float penalty;

  DEVICE float operator[](int id) const { return seen_as(id, logits[id]); }

  DEVICE float seen_as(int id, float logit) const {
    if (seen != nullptr && (seen[id / 32] >> (id % 32) & 1u)) logit = logit < 0.0f ? logit * penalty : logit / penalty;
    return logit == logit ? logit : -__uint_as_float(0x7f800000u);
  }
};

// f(id, logit) for ids from, from + stride, … below `to`. Loads run four ahead: one block reads a row
// alone and has nothing else to hide their latency with.
template <typename F>
DEVICE void each_logit(const LogitsRow& row, int from, int to, int stride, F f) {
  constexpr int kAhead = 4;
  float queue[kAhead];
#pragma unroll
  for (int j = 0; j < kAhead; j++) queue[j] = from + j * stride < to ? row.logits[from + j * stride] : 0.0f;
#pragma unroll 1
  for (int id = from; id < to; id += stride) {
    const float logit = queue[0];
#pragma unroll
    for (int j = 1; j < kAhead; j++) queue[j - 1] = queue[j];
    if (id + kAhead * stride < to) queue[kAhead - 1] = row.logits[id + kAhead * stride];
    f(id, row.seen_as(id, logit));
  }
}
