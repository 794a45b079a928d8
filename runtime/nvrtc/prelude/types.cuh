// Fixed-width integers, the storage types of weights and activations, and vectors of them.
// NVRTC comes without headers: this replaces stdint.h, cuda_bf16.h, cuda_fp16.h and cuda_fp8.h.
#pragma once

#define DEVICE __device__ __forceinline__

using i8 = signed char;
using u8 = unsigned char;
using i16 = short;
using u16 = unsigned short;
using i32 = int;
using u32 = unsigned int;
using i64 = long long;
using u64 = unsigned long long;
static_assert(sizeof(i16) == 2 && sizeof(i32) == 4 && sizeof(i64) == 8, "integer widths");

// Storage only: arithmetic happens in float, after to_float.
struct bf16 { u16 bits; };
struct f16 { u16 bits; };
struct e4m3 { u8 bits; };  // 4 exponent bits, 3 mantissa bits, no infinity, NaN is 0x7f and 0xff
struct e5m2 { u8 bits; };  // the upper byte of an f16

// N elements moved as one access: N * sizeof(T) is 1, 2, 4, 8 or 16 bytes, and so is the alignment.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  T at[N];
  DEVICE T& operator[](int i) { return at[i]; }
  DEVICE const T& operator[](int i) const { return at[i]; }
};

// Pointers passed by value as one kernel parameter.
template <typename T, int N>
struct Table {
  T* at[N];
};

// Address in the shared window, the form that ldmatrix, cp.async and mbarrier instructions take.
DEVICE u32 shared_address(const void* pointer) {
  return static_cast<u32>(__cvta_generic_to_shared(pointer));
}
