// Wide loads and stores, and sums over a warp in a fixed order.
#pragma once
#include "prelude/types.cuh"

// One access for the whole vector. The pointer must be aligned to its size.
template <typename T, int N>
DEVICE Vec<T, N> load(const T* pointer) {
  return *reinterpret_cast<const Vec<T, N>*>(pointer);
}
template <typename T, int N>
DEVICE void store(T* pointer, const Vec<T, N>& value) {
  *reinterpret_cast<Vec<T, N>*>(pointer) = value;
}

// 16 bytes of shared memory, by their address in the shared window.
DEVICE void load_shared_4(u32 (&value)[4], u32 address) {
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3])
               : "r"(address)
               : "memory");
}

// 16 bytes read once and written by no one during the kernel: weights. Kept out of L1.
template <typename T>
DEVICE Vec<T, 16 / sizeof(T)> load_stream(const T* pointer) {
  union {
    u32 word[4];
    Vec<T, 16 / sizeof(T)> value;
  } u;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(u.word[0]), "=r"(u.word[1]), "=r"(u.word[2]), "=r"(u.word[3])
               : "l"(pointer));
  return u.value;
}

// All 32 lanes take part and all receive the result; the order of additions depends on nothing.
DEVICE float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}
DEVICE float warp_max(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

// The sum over a block of 32 * WARPS threads, which all call it and all receive it: warps in
// ascending order. `warps` is in shared memory; a barrier must come before its next use.
template <int WARPS>
DEVICE float block_sum(float x, float (&warps)[WARPS]) {
  const float sum = warp_sum(x);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int warp = 0; warp < WARPS; warp++) total += warps[warp];
  return total;
}

// What this thread wrote before is seen by the device's other blocks before what it writes after; what
// they wrote likewise. __threadfence() orders everything with everything as well, which takes longer.
DEVICE void device_fence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
