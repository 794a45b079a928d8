// A node's row of logits, as drawing sees it.
#pragma once
#include "prelude/types.cuh"

// The logits after the repetition penalty. `seen` has a bit for each token that came before, or is
// null when there is no penalty. Penalised logits are rounded to float.
struct LogitsRow {
  const float* logits;
  const u32* seen;
  float penalty;

  // NaN as -infinity.
  DEVICE float operator[](int id) const {
    const float logit = seen_as(id, logits[id]);
    return logit == logit ? logit : -__uint_as_float(0x7f800000u);
  }
  DEVICE bool is_seen(int id) const { return seen[id / 32] >> (id % 32) & 1u; }
  DEVICE float seen_as(int id, float logit) const {
    if (seen != nullptr && is_seen(id)) logit = logit < 0.0f ? logit * penalty : logit / penalty;
    return logit;
  }
};

// A row is worked on in chunks, each by a warp.
constexpr int kChunk = 256;
DEVICE constexpr int chunks_of(int vocabulary) { return (vocabulary + kChunk - 1) / kChunk; }

// f(id, logit) for the ids of a chunk, those of a lane ascending, and NaN for what is past the end. A
// warp calls it; all lanes call f at the same time. Four loads of a lane are on their way at a time.
template <int VOCABULARY, typename F>
DEVICE void each_logit(const LogitsRow& row, int chunk, F f) {
  constexpr int kBatch = 4;
  int first = chunk * kChunk + static_cast<int>(threadIdx.x % 32);
  const int end = first + kChunk;
#pragma unroll 1
  for (; first < end; first += 32 * kBatch) {
    float logits[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      logits[j] = first + 32 * j < VOCABULARY ? row.logits[first + 32 * j] : __uint_as_float(0x7fffffffu);
    }
    if (row.seen != nullptr) {
#pragma unroll
      for (int j = 0; j < kBatch; j++) {
        if (first + 32 * j < VOCABULARY) logits[j] = row.seen_as(first + 32 * j, logits[j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) f(first + 32 * j, logits[j]);
  }
}
