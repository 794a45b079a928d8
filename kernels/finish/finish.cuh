// The end of a run, one block: small states get their new values, outputs go to the host.
#pragma once
#include "prelude/types.cuh"

// Elements 0 … count-1 of a value into memory that no value is read from. The first ones are taken
// by warp kWarp: values of one element, each with a warp of its own, wait for memory at the same time.
template <int kThreads, int kWarp, typename T, typename Value>
DEVICE void evaluate(T* destination, int count, Value value) {
  constexpr int kFirst = 32 * kWarp % kThreads;
  for (int i = (threadIdx.x + kThreads - kFirst) % kThreads; i < count; i += kThreads) destination[i] = value(i);
}

template <int kThreads, typename T, int kCount>
DEVICE void update_state(T* state, const T (&staged)[kCount]) {
  for (int i = threadIdx.x; i < kCount; i += kThreads) state[i] = staged[i];
}

// Tells the host that the slot is complete; called by all threads after their writes to it. Each
// fences its own, so that none can arrive behind the number.
DEVICE void publish(unsigned char* slot, int* number_state, int number) {
  __threadfence_system();
  __syncthreads();
  if (threadIdx.x != 0) return;
  *number_state = number + 1;
  *reinterpret_cast<volatile u32*>(slot) = static_cast<u32>(number) + 1u;
}
