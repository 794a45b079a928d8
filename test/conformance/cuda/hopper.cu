// Compute capability 9.0: clusters, bulk copies, mbarriers that count bytes.
typedef unsigned u32;
__device__ __forceinline__ u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;" ::: "memory");
}
__device__ __forceinline__ u32 rank() {
  u32 r;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
  return r;
}

// Every block reads its neighbour's shared memory.
extern "C" __global__ void neighbours(const int* in, int* out) {
  __shared__ int tile[64];
  const int t = threadIdx.x, i = blockIdx.x * 64 + t;
  tile[t] = in[i] * 2;
  cluster_sync();
  u32 size, mapped;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(shared_address(&tile[63 - t])), "r"((rank() + 1) % size));
  int value;
  asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(mapped) : "memory");
  cluster_sync();
  out[i] = value + static_cast<int>(rank());
}

#if __CUDACC_VER_MAJOR__ >= 12
__device__ __forceinline__ void wait(u32 barrier, u32 parity) {
  u32 done = 0;
  while (done == 0) {
    asm volatile("{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\tselp.u32 %0, 1, 0, p;\n\t}"
                 : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
  }
}

// One thread streams rows by bulk copies through a ring of three; full and empty barriers.
extern "C" __global__ void stream(const float* in, float* out, int steps) {
  __shared__ __align__(128) float stages[3][128];
  __shared__ __align__(8) unsigned long long full[3], empty[3];
  const int t = threadIdx.x;
  if (t == 0) {
    for (int s = 0; s < 3; s++) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&full[s])) : "memory");
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 128;" ::"r"(shared_address(&empty[s])) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (t >= 128) {
    if (t == 128) {
      for (int step = 0; step < steps; step++) {
        const int s = step % 3;
        if (step >= 3) wait(shared_address(&empty[s]), (step / 3 - 1) & 1);
        const u32 bar = shared_address(&full[s]);
        asm volatile("{\n\t.reg .b64 st;\n\tmbarrier.arrive.expect_tx.shared::cta.b64 st, [%0], %1;\n\t}" ::"r"(bar), "r"(512) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         shared_address(stages[s])),
                     "l"(in + step * 128), "r"(512), "r"(bar) : "memory");
      }
    }
    return;
  }
  float sum = 0.0f;
  for (int step = 0; step < steps; step++) {
    const int s = step % 3;
    wait(shared_address(&full[s]), (step / 3) & 1);
    sum += stages[s][(t * 5 + step) % 128] * (step + 1);
    asm volatile("{\n\t.reg .b64 st;\n\tmbarrier.arrive.shared::cta.b64 st, [%0];\n\t}" ::"r"(shared_address(&empty[s])) : "memory");
  }
  out[t] = sum;
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// D (64 x 8) = A (64 x 16) * B (8 x 16)^T, operands in core matrices of 8 rows of 16 bytes.
extern "C" __global__ void warpgroup(const uint4* a, const uint4* b, float* d) {
  __shared__ __align__(128) uint4 as[128];
  __shared__ __align__(128) uint4 bs[16];
  const int t = threadIdx.x;
  // Row r, half h of A goes to core matrix (r / 8, h).
  as[(t / 2 / 8) * 16 + (t % 2) * 8 + (t / 2) % 8] = a[t];
  if (t < 16) bs[(t % 2) * 8 + t / 2] = b[t];
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  auto descriptor = [](u32 address, u32 leading, u32 stride) {
    return static_cast<unsigned long long>((address & 0x3ffffu) >> 4) | static_cast<unsigned long long>(leading >> 4) << 16 |
           static_cast<unsigned long long>(stride >> 4) << 32;
  };
  float acc[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %5, 1, 1, 1, 0, 0;"
               : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
               : "l"(descriptor(shared_address(as), 128, 256)), "l"(descriptor(shared_address(bs), 128, 256)));
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  const int row = t / 32 * 16 + t % 32 / 4, column = 2 * (t % 4);
  d[row * 8 + column] = acc[0];
  d[row * 8 + column + 1] = acc[1];
  d[(row + 8) * 8 + column] = acc[2];
  d[(row + 8) * 8 + column + 1] = acc[3];
}

struct __align__(128) TensorMap { unsigned char bytes[128]; };

// Two blocks copy a box of 32 rows, each a half of it to both; when both have read it, the next one.
extern "C" __global__ void boxes(const __grid_constant__ TensorMap map, unsigned short* out, int rounds) {
  extern __shared__ __align__(1024) unsigned short box[];
  __shared__ __align__(8) unsigned long long full, empty;
  const int t = threadIdx.x;
  const u32 filled = shared_address(&full), released = shared_address(&empty);
  if (t == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(filled) : "memory");
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 2;" ::"r"(released) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
  }
  cluster_sync();
  for (int round = 0; round < rounds; round++) {
    if (t == 0) {
      u32 done = round == 0;
      while (done == 0) {
        asm volatile("{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n\tselp.u32 %0, 1, 0, p;\n\t}"
                     : "=r"(done) : "r"(released), "r"((round - 1) & 1) : "memory");
      }
      asm volatile("{\n\t.reg .b64 st;\n\tmbarrier.arrive.expect_tx.shared::cta.b64 st, [%0], %1;\n\t}" ::"r"(filled), "r"(4096) : "memory");
      asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(
                       shared_address(box) + rank() * 2048),
                   "l"(&map), "r"(round * 64 - 32), "r"(rank() * 16), "r"(filled), "h"(static_cast<unsigned short>(3)) : "memory");
    }
    wait(filled, round & 1);
    for (int i = t; i < 2048; i += 64) out[(blockIdx.x * rounds + round) * 2048 + i] = box[i];
    __syncthreads();
    if (t < 2) {
      u32 remote;
      asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(released), "r"(t));
      asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(remote) : "memory");
    }
  }
  cluster_sync();
}
#endif
#endif
