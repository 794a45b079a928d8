// Rotary embedding in the half-rotation form, for projections that could not do it on their way out.
#pragma once
#include "kernels/rope/rotate.cuh"
#include "prelude/convert.cuh"

// Config: kHeads, kHeadDim, kThreads, Out.
// x [rows, kHeads, kHeadDim]; out the same shape from row `first` on; block x is a row, block y takes
// kThreads of its pairs. position(row) is the row's absolute position.
template <typename Config, typename Position>
DEVICE void rope(const float* x, const float* inverse_frequencies, typename Config::Out* out, int first,
                 Position position) {
  constexpr int kHalf = Config::kHeadDim / 2;
  const int row = static_cast<int>(blockIdx.x);
  const int pair = static_cast<int>(blockIdx.y) * Config::kThreads + static_cast<int>(threadIdx.x);
  if (pair >= Config::kHeads * kHalf) return;
  const int i = pair % kHalf;
  const int low = pair / kHalf * Config::kHeadDim + i;
  constexpr size_t kRow = static_cast<size_t>(Config::kHeads) * Config::kHeadDim;
  float a = x[row * kRow + low];
  float b = x[row * kRow + low + kHalf];
  rotate(a, b, rotation(position(row), inverse_frequencies[i]));
  typename Config::Out* target = out + (static_cast<size_t>(first) + row) * kRow;
  target[low] = from_float<typename Config::Out>(a);
  target[low + kHalf] = from_float<typename Config::Out>(b);
}
