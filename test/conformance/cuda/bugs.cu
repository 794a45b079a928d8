// Kernels with one planted bug each, marked where it is to be reported, and their right versions.
typedef unsigned u32;
__device__ __forceinline__ u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }

extern "C" __global__ void missing_barrier(float* x) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = tile[63 - threadIdx.x];  // missing barrier
}
extern "C" __global__ void with_barrier(float* x) {
  __shared__ float tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = tile[63 - threadIdx.x];
}

// The second barrier of a loop is as easily forgotten as the first.
extern "C" __global__ void missing_second_barrier(const float* in, float* out, int rounds) {
  __shared__ float tile[64];
  float sum = 0.0f;
  for (int r = 0; r < rounds; r++) {
    tile[threadIdx.x] = in[r * 64 + threadIdx.x];  // missing second barrier
    __syncthreads();
    sum += tile[63 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}
extern "C" __global__ void both_barriers(const float* in, float* out, int rounds) {
  __shared__ float tile[64];
  float sum = 0.0f;
  for (int r = 0; r < rounds; r++) {
    tile[threadIdx.x] = in[r * 64 + threadIdx.x];
    __syncthreads();
    sum += tile[63 - threadIdx.x];
    __syncthreads();
  }
  out[threadIdx.x] = sum;
}

template <int KEEP>
__device__ __forceinline__ void staged(const float* in, float* out) {
  __shared__ __align__(16) float tile[2][128];
  for (int s = 0; s < 2; s++) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&tile[s][4 * threadIdx.x])),
                 "l"(in + 128 * s + 4 * threadIdx.x) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory");
  __syncthreads();
  out[threadIdx.x] = tile[1][127 - threadIdx.x] + tile[0][threadIdx.x];  // missing-wait
}
extern "C" __global__ void missing_wait(const float* in, float* out) { staged<1>(in, out); }
extern "C" __global__ void with_wait(const float* in, float* out) { staged<0>(in, out); }

extern "C" __global__ void one_row_too_many(const float* in, float* out, int rows, int width) {
  float sum = 0.0f;
  for (int r = 0; r <= rows; r++) {
    sum += in[r * width + threadIdx.x];  // out-of-bounds
    out[threadIdx.x] = sum;
  }
}
extern "C" __global__ void all_rows(const float* in, float* out, int rows, int width) {
  for (int r = 0; r < rows; r++) out[r * width + threadIdx.x] = in[r * width + threadIdx.x] * 2.0f;
}

extern "C" __global__ void misaligned(const float* in, float4* out, int shift) {
  out[threadIdx.x] = *reinterpret_cast<const float4*>(in + 4 * threadIdx.x + shift);  // misaligned
}

extern "C" __global__ void accumulate(const float* in, float* sums) {
  atomicAdd(sums + threadIdx.x % 4, in[threadIdx.x]);  // uninitialized
}
extern "C" __global__ void unset_shared(float* out) {
  __shared__ float sums[32];
  if (threadIdx.x < 31) sums[threadIdx.x] = 1.0f;
  __syncwarp();
  out[threadIdx.x] = sums[31 - threadIdx.x];  // uninitialized shared
}

extern "C" __global__ void scale(float* x, float by) {
  x[threadIdx.x] *= by;  // use-after-free
}

extern "C" __global__ void one_word(int* out) {
  if (threadIdx.x == 0) out[0] = blockIdx.x;  // race of blocks
}
extern "C" __global__ void own_words(int* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = blockIdx.x;
}

extern "C" __global__ void divergent_barrier(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = 1;
    __syncthreads();  // barrier-divergence
  }
  out[threadIdx.x] = 2;
}

extern "C" __global__ void deadlock(int* out) {
  asm volatile("bar.sync %0, 64;" ::"r"(1 + threadIdx.x / 32) : "memory");  // deadlock
  out[threadIdx.x] = 1;
}

extern "C" __global__ void unfenced(const float* in, volatile float* partial, unsigned* ticket, float* out) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    const_cast<float*>(partial)[blockIdx.x] = in[blockIdx.x];
    last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float total = 0.0f;
    for (int b = 0; b < gridDim.x; b++) total += const_cast<float*>(partial)[b];  // race without a fence
    out[0] = total;
  }
}

extern "C" __global__ void endless(int* x) {
  int i = 0;
  while (x[0] >= 0) {  // fuel
    i++;
    x[1] = i;
  }
}
