// RMS normalisation, one block per row: x / sqrt(mean(x²) + eps) · weight.
#pragma once
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"

// Config: kWidth, kThreads, kVector (elements of one access, divides kWidth), kEps, Weight.
// x [rows, kWidth]; weight [kWidth]; every output [rows, kWidth], rounded to its type.
template <typename Config, typename... Outputs>
DEVICE void rms_norm(const float* x, const typename Config::Weight* weight, Outputs*... outputs) {
  constexpr int kWidth = Config::kWidth;
  constexpr int kThreads = Config::kThreads;
  constexpr int kVector = Config::kVector;
  constexpr int kVectors = kWidth / kVector;
  constexpr int kSteps = (kVectors + kThreads - 1) / kThreads;
  __shared__ float warps[kThreads / 32];
  const size_t row = static_cast<size_t>(blockIdx.x) * kWidth;

  // Weights are asked for together with x: after the sum their latency would come on top.
  Vec<float, kVector> values[kSteps];
  Vec<typename Config::Weight, kVector> weights[kSteps];
  float sum = 0.0f;
#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    const int vector = step * kThreads + static_cast<int>(threadIdx.x);
    if (vector >= kVectors) continue;
    values[step] = load<float, kVector>(x + row + vector * kVector);
    weights[step] = load<typename Config::Weight, kVector>(weight + vector * kVector);
  }
#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    if (step * kThreads + static_cast<int>(threadIdx.x) >= kVectors) continue;
#pragma unroll
    for (int i = 0; i < kVector; i++) sum = fmaf(values[step][i], values[step][i], sum);
  }
  const float scale = rsqrtf(block_sum(sum, warps) / kWidth + Config::kEps);

#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    const int vector = step * kThreads + static_cast<int>(threadIdx.x);
    if (vector >= kVectors) continue;
#pragma unroll
    for (int i = 0; i < kVector; i++) values[step][i] = values[step][i] * scale * to_float(weights[step][i]);
    (store(outputs + row + vector * kVector, rounded<Outputs>(values[step])), ...);
  }
}
