// Values that get memory of their own: one thread an element, each computed from scratch.
#pragma once
#include "prelude/types.cuh"

template <typename T, typename Element>
DEVICE void elementwise(T* out, i32 elements, const Element& element) {
  const i32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < elements) out[i] = element(i);
}
