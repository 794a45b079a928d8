typedef unsigned long long u64;
// Many threads on few words; results that do not depend on the order.
extern "C" __global__ void atomics(const int* in, int* out, float* sums, u64* wide, double* doubles, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int v = in[i];
  atomicAdd(out + 0, v);
  atomicSub(out + 1, v);
  atomicMin(out + 2, v);
  atomicMax(out + 3, v);
  atomicMin(reinterpret_cast<unsigned*>(out + 4), static_cast<unsigned>(v));
  atomicMax(reinterpret_cast<unsigned*>(out + 5), static_cast<unsigned>(v));
  atomicAnd(out + 6, v | 0xff);
  atomicOr(out + 7, v & 0xffff);
  atomicXor(out + 8, v);
  atomicInc(reinterpret_cast<unsigned*>(out + 9), 100u);
  atomicDec(reinterpret_cast<unsigned*>(out + 10), 77u);
  atomicAdd(sums, static_cast<float>(v & 15));
  atomicAdd(wide, static_cast<u64>(v) * 1000003ull);
  atomicMax(wide + 1, static_cast<u64>(v) * 1000003ull);
  atomicAdd(doubles, static_cast<double>(v & 255));
  // A maximum of floats by compare and swap.
  int* target = out + 11;
  int seen = *static_cast<volatile int*>(target);
  const float mine = static_cast<float>(v);
  while (mine > __int_as_float(seen)) {
    const int before = atomicCAS(target, seen, __float_as_int(mine));
    if (before == seen) break;
    seen = before;
  }
  // Tickets are all different.
  const int ticket = atomicAdd(out + 12, 1);
  atomicAdd(out + 13, ticket);
  asm volatile("red.global.add.noftz.f16x2 [%0], %1;" ::"l"(out + 14), "r"(0x3c003c00) : "memory");
}

extern "C" __global__ void histogram(const unsigned char* in, int* out, int n) {
  __shared__ int bins[256];
  for (int b = threadIdx.x; b < 256; b += blockDim.x) bins[b] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[in[i]], 1);
  __syncthreads();
  for (int b = threadIdx.x; b < 256; b += blockDim.x)
    if (bins[b] > 0) atomicAdd(out + b, bins[b]);
}
