// One warp per block multiplies one tile; fragments come from shared memory by ldmatrix or by hand.
typedef unsigned u32;
#define INLINE __device__ __forceinline__

INLINE u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }

#define MMA_FLOAT(NAME, SHAPE, TYPES)                                                                            \
  INLINE void NAME(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {                                        \
    asm volatile("mma.sync.aligned." SHAPE ".row.col." TYPES                                                     \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                              \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                            \
  }
MMA_FLOAT(mma_bf16, "m16n8k16", "f32.bf16.bf16.f32")
MMA_FLOAT(mma_f16, "m16n8k16", "f32.f16.f16.f32")
MMA_FLOAT(mma_tf32, "m16n8k8", "f32.tf32.tf32.f32")

// A is 16 rows, B 8 columns, both of 16 words: k contiguous. C is 16 x 8.
template <typename Multiply>
INLINE void tile(const u32* a, const u32* b, const float* c, float* d, int words, Multiply multiply) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  float acc[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  for (int w = 0; w < words; w += 8) {
    const u32 fa[4] = {a[g * words + w + t], a[(g + 8) * words + w + t], a[g * words + w + t + 4],
                       a[(g + 8) * words + w + t + 4]};
    const u32 fb[2] = {b[g * words + w + t], b[g * words + w + t + 4]};
    multiply(acc, fa, fb);
  }
  d[g * 8 + 2 * t] = acc[0];
  d[g * 8 + 2 * t + 1] = acc[1];
  d[(g + 8) * 8 + 2 * t] = acc[2];
  d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}
extern "C" __global__ void tile_bf16(const u32* a, const u32* b, const float* c, float* d, int words) {
  tile(a, b, c, d, words, [](float (&acc)[4], const u32 (&x)[4], const u32 (&y)[2]) { mma_bf16(acc, x, y); });
}
extern "C" __global__ void tile_f16(const u32* a, const u32* b, const float* c, float* d, int words) {
  tile(a, b, c, d, words, [](float (&acc)[4], const u32 (&x)[4], const u32 (&y)[2]) { mma_f16(acc, x, y); });
}
extern "C" __global__ void tile_tf32(const u32* a, const u32* b, const float* c, float* d, int words) {
  tile(a, b, c, d, words, [](float (&acc)[4], const u32 (&x)[4], const u32 (&y)[2]) { mma_tf32(acc, x, y); });
}
extern "C" __global__ void tile_bf16_k8(const u32* a, const u32* b, const float* c, float* d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  float acc[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
               : "r"(a[g * 4 + t]), "r"(a[(g + 8) * 4 + t]), "r"(b[g * 4 + t]));
  d[g * 8 + 2 * t] = acc[0];
  d[g * 8 + 2 * t + 1] = acc[1];
  d[(g + 8) * 8 + 2 * t] = acc[2];
  d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}
extern "C" __global__ void tile_i8(const u32* a, const u32* b, const int* c, int* d, int words) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  int acc[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  for (int w = 0; w < words; w += 8) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])
                 : "r"(a[g * words + w + t]), "r"(a[(g + 8) * words + w + t]), "r"(a[g * words + w + t + 4]),
                   "r"(a[(g + 8) * words + w + t + 4]), "r"(b[g * words + w + t]), "r"(b[g * words + w + t + 4]));
  }
  d[g * 8 + 2 * t] = acc[0];
  d[g * 8 + 2 * t + 1] = acc[1];
  d[(g + 8) * 8 + 2 * t] = acc[2];
  d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}
extern "C" __global__ void tile_f16_f16(const u32* a, const u32* b, const u32* c, u32* d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  u32 acc[2] = {c[g * 4 + t], c[(g + 8) * 4 + t]};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%0, %1};"
               : "+r"(acc[0]), "+r"(acc[1])
               : "r"(a[g * 8 + t]), "r"(a[(g + 8) * 8 + t]), "r"(a[g * 8 + t + 4]), "r"(a[(g + 8) * 8 + t + 4]),
                 "r"(b[g * 8 + t]), "r"(b[g * 8 + t + 4]));
  d[g * 4 + t] = acc[0];
  d[(g + 8) * 4 + t] = acc[1];
}

// Four 8 x 8 matrices of 16-bit elements in, their fragments out: x4, x4 transposed, x2, x1.
extern "C" __global__ void fragments(const uint4* in, u32* out) {
  __shared__ uint4 rows[32];
  const int l = threadIdx.x;
  rows[l] = in[l];
  __syncwarp();
  const u32 at = shared_address(&rows[l]);
  u32 r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
  for (int m = 0; m < 4; m++) out[m * 32 + l] = r[m];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
  for (int m = 0; m < 4; m++) out[(4 + m) * 32 + l] = r[m];
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(at) : "memory");
  for (int m = 0; m < 2; m++) out[(8 + m) * 32 + l] = r[m];
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(at) : "memory");
  out[10 * 32 + l] = r[0];
}

// C (m x n, float) = A (m x k) * B (n x k)^T in bf16: tiles of 32 x 32 x 32 through a ring of two
// shared buffers filled by cp.async, four warps of 16 x 16 each.
extern "C" __global__ void gemm(const unsigned short* a, const unsigned short* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) unsigned short as[2][32][40];
  __shared__ __align__(16) unsigned short bs[2][32][40];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int row0 = blockIdx.y * 32, col0 = blockIdx.x * 32;
  auto fill = [&](int stage, int k0) {
    const int r = t / 4, part = t % 4;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&as[stage][r][part * 8])),
                 "l"(a + (row0 + r) * k + k0 + part * 8) : "memory");
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&bs[stage][r][part * 8])),
                 "l"(b + (col0 + r) * k + k0 + part * 8) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  float acc[2][4] = {};
  const int wm = warp / 2 * 16, wn = warp % 2 * 16;
  fill(0, 0);
  for (int step = 0; step < k / 32; step++) {
    if (step + 1 < k / 32) fill((step + 1) & 1, (step + 1) * 32);
    else asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    for (int kk = 0; kk < 32; kk += 16) {
      u32 fa[4], fb[4];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                   : "r"(shared_address(&as[step & 1][wm + lane % 16][kk + lane / 16 * 8])) : "memory");
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fb[0]), "=r"(fb[1]), "=r"(fb[2]), "=r"(fb[3])
                   : "r"(shared_address(&bs[step & 1][wn + lane % 8 + lane / 16 * 8][kk + lane / 8 % 2 * 8])) : "memory");
      const u32 b0[2] = {fb[0], fb[1]}, b1[2] = {fb[2], fb[3]};
      mma_bf16(acc[0], fa, b0);
      mma_bf16(acc[1], fa, b1);
    }
    __syncthreads();
  }
  const int g = lane / 4, q = lane % 4;
  for (int j = 0; j < 2; j++) {
    float* to = c + (row0 + wm + g) * n + col0 + wn + j * 8 + 2 * q;
    to[0] = acc[j][0];
    to[1] = acc[j][1];
    to[8 * n] = acc[j][2];
    to[8 * n + 1] = acc[j][3];
  }
}
