// Partial results of a softmax-weighted sum, and how they become one. A partial is
//   m: the largest score, in units of log2
//   l: the sum of 2^(score - m)
//   a[d]: the sum of 2^(score - m) · value[d]
// and partials are folded into one another in ascending order of their keys.
#pragma once
#include "kernels/last-block.cuh"
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

// The score of a key that is not seen.
DEVICE float minus_infinity() { return __uint_as_float(0xff800000u); }

// 2^x in one instruction; results below 2^-126 are zero.
DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// What (m, l) and the next partial's (m, l) are multiplied with on their way into the common one.
struct Fold {
  float keep;
  float add;
};
DEVICE Fold fold_sums(float& m, float& l, float next_m, float next_l) {
  const float largest = fmaxf(m, next_m);
  const Fold fold = {exp2_fast(m - largest), exp2_fast(next_m - largest)};
  m = largest;
  l = fmaf(next_l, fold.add, l * fold.keep);
  return fold;
}
DEVICE float fold_value(const Fold& fold, float value, float next) {
  return fmaf(next, fold.add, value * fold.keep);
}
// What sums are divided by; a row that sees nothing gets zeros.
DEVICE float inverse_sum(float l) { return l == 0.0f ? 0.0f : 1.0f / l; }

// Partials of all queries in memory: accumulators [partial][query][kHeadDim], sums
// [partial][query][2] with m and l. A query is (kv head · rows + row) · group + head of the group.
template <int kHeadDim>
struct Partials {
  float* accumulators;
  float* sums;
  int queries;
  DEVICE float* accumulator(int partial, int query) const {
    return accumulators + (static_cast<i64>(partial) * queries + query) * kHeadDim;
  }
  DEVICE float* sum(int partial, int query) const {
    return sums + (static_cast<i64>(partial) * queries + query) * 2;
  }
};

// Past L1, which does not see what other multiprocessors have written.
template <int kCount>
DEVICE Vec<float, kCount> load_shared_result(const float* pointer) {
  Vec<float, kCount> value;
  if constexpr (kCount == 4) {
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(value[0]), "=f"(value[1]), "=f"(value[2]), "=f"(value[3])
                 : "l"(pointer));
  } else if constexpr (kCount == 2) {
    asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];" : "=f"(value[0]), "=f"(value[1]) : "l"(pointer));
  } else {
    static_assert(kCount == 1, "1, 2 or 4 floats");
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(value[0]) : "l"(pointer));
  }
  return value;
}
