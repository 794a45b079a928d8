// What memory reaches: 16 bytes a thread and instruction, several in flight, no arithmetic. Blocks have
// up to 1024 threads, for which there are 64 registers each.
template <int Unroll>
__device__ __forceinline__ void copy_pieces(uint4* to, const uint4* from, long long count) {
  const long long stride = (long long)gridDim.x * blockDim.x * Unroll;
  long long first = (long long)blockIdx.x * blockDim.x * Unroll + threadIdx.x;
#pragma unroll 1
  for (; first < count; first += stride) {
    uint4 pieces[Unroll];
#pragma unroll
    for (int i = 0; i < Unroll; i++) {
      const long long at = first + (long long)i * blockDim.x;
      if (at < count) pieces[i] = from[at];
    }
#pragma unroll
    for (int i = 0; i < Unroll; i++) {
      const long long at = first + (long long)i * blockDim.x;
      if (at < count) to[at] = pieces[i];
    }
  }
}

// Each warp leaves the exclusive or of all words it has read: nothing may be optimised away, and a
// word that was not read shows.
template <int Unroll>
__device__ __forceinline__ void read_pieces(unsigned* sums, const uint4* from, long long count) {
  const long long stride = (long long)gridDim.x * blockDim.x * Unroll;
  long long first = (long long)blockIdx.x * blockDim.x * Unroll + threadIdx.x;
  unsigned sum = 0;
#pragma unroll 1
  for (; first < count; first += stride) {
    uint4 pieces[Unroll];
#pragma unroll
    for (int i = 0; i < Unroll; i++) {
      const long long at = first + (long long)i * blockDim.x;
      pieces[i] = at < count ? from[at] : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int i = 0; i < Unroll; i++) sum ^= pieces[i].x ^ pieces[i].y ^ pieces[i].z ^ pieces[i].w;
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) sum ^= __shfl_xor_sync(0xffffffffu, sum, lanes);
  if (threadIdx.x % 32 == 0) sums[(blockIdx.x * blockDim.x + threadIdx.x) / 32] = sum;
}

extern "C" __global__ void __launch_bounds__(1024) copy_4(uint4* to, const uint4* from, long long count) {
  copy_pieces<4>(to, from, count);
}
extern "C" __global__ void __launch_bounds__(1024) copy_8(uint4* to, const uint4* from, long long count) {
  copy_pieces<8>(to, from, count);
}
extern "C" __global__ void __launch_bounds__(1024) read_4(unsigned* sums, const uint4* from, long long count) {
  read_pieces<4>(sums, from, count);
}
extern "C" __global__ void __launch_bounds__(1024) read_8(unsigned* sums, const uint4* from, long long count) {
  read_pieces<8>(sums, from, count);
}

// Nearly normal bf16 numbers: memory and tensor cores draw less power, and run faster, on zeros.
extern "C" __global__ void __launch_bounds__(1024) fill_normal(unsigned short* to, long long count, unsigned seed, float scale) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += stride) {
    unsigned word = (unsigned)at * 0x9e3779b1u ^ (unsigned)(at >> 32) ^ seed;
    word = (word ^ (word >> 16)) * 0x85ebca6bu;
    word = (word ^ (word >> 13)) * 0xc2b2ae35u;
    word ^= word >> 16;
    // Four bytes have the mean 510 and the deviation 147.8.
    const int sum = (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24);
    const unsigned bits = __float_as_uint((sum - 510) * (scale / 147.8f));
    to[at] = (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
}
