typedef unsigned u32;
__device__ __forceinline__ u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }

// Copies of 4, 8 and 16 bytes, some shorter than their target: the rest becomes zero.
extern "C" __global__ void sizes(const unsigned char* in, unsigned char* out, int bytes) {
  __shared__ __align__(16) unsigned char tile[3 * 512];
  const int t = threadIdx.x;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(tile + 4 * t)), "l"(in + 4 * t) : "memory");
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(tile + 512 + 8 * t)), "l"(in + 512 + 8 * t),
               "r"(t % 9) : "memory");
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(tile + 1024 + 16 * t)),
               "l"(in + 1024 + 16 * t), "r"(t % 2 * 16) : "memory");
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncthreads();
  for (int i = t; i < 3 * 512; i += 32) out[i] = i < 128 || i >= 512 ? (i >= 768 && i < 1024 ? 0 : tile[i]) : 0;
  (void)bytes;
}

// A ring of four stages over a long row.
extern "C" __global__ void ring(const float* in, float* out, int steps) {
  __shared__ __align__(16) float stages[4][128];
  const int t = threadIdx.x;
  auto fill = [&](int step) {
    if (step < steps)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&stages[step % 4][4 * t])),
                   "l"(in + step * 128 + 4 * t) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  for (int s = 0; s < 3; s++) fill(s);
  float sum = 0.0f;
  for (int s = 0; s < steps; s++) {
    asm volatile("cp.async.wait_group 2;" ::: "memory");
    __syncthreads();
    for (int j = 0; j < 4; j++) sum += stages[s % 4][(t + 32 * j) % 128] * (s + 1);
    __syncthreads();
    fill(s + 3);
  }
  out[t] = sum;
}

// An mbarrier that threads arrive at with their copies.
extern "C" __global__ void arrivals(const int* in, int* out) {
  __shared__ __align__(16) int tile[256];
  __shared__ unsigned long long barrier;
  const int t = threadIdx.x;
  const u32 bar = shared_address(&barrier);
  if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], 64;" ::"r"(bar) : "memory");
  __syncthreads();
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(tile + 4 * t)), "l"(in + 4 * t) : "memory");
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(bar) : "memory");
  u32 done = 0;
  while (done == 0) {
    asm volatile("{\n\t.reg .pred p;\n\tmbarrier.test_wait.parity.shared.b64 p, [%1], 0;\n\tselp.u32 %0, 1, 0, p;\n\t}"
                 : "=r"(done) : "r"(bar) : "memory");
  }
  for (int j = 0; j < 4; j++) out[4 * t + j] = tile[(4 * t + j + 77) % 256] + 1;
}
