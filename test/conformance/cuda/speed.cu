// What the emulator's speed is measured with: a matrix-vector product and a chain of mma.
extern "C" __global__ void gemv(const unsigned short* __restrict__ w, const float* __restrict__ x, float* y, int rows, int width) {
  extern __shared__ float xs[];
  for (int i = threadIdx.x; i < width; i += blockDim.x) xs[i] = x[i];
  __syncthreads();
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  const uint4* from = reinterpret_cast<const uint4*>(w + static_cast<size_t>(row) * width);
  float sum = 0.0f;
  for (int i = threadIdx.x % 32; i < width / 8; i += 32) {
    const uint4 v = from[i];
    const float4* at = reinterpret_cast<const float4*>(xs + i * 8);
    const float4 a = at[0], b = at[1];
    sum += __uint_as_float(v.x << 16) * a.x + __uint_as_float(v.x & 0xffff0000u) * a.y;
    sum += __uint_as_float(v.y << 16) * a.z + __uint_as_float(v.y & 0xffff0000u) * a.w;
    sum += __uint_as_float(v.z << 16) * b.x + __uint_as_float(v.z & 0xffff0000u) * b.y;
    sum += __uint_as_float(v.w << 16) * b.z + __uint_as_float(v.w & 0xffff0000u) * b.w;
  }
  for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
  if (threadIdx.x % 32 == 0) y[row] = sum;
}

extern "C" __global__ void mma_chain(const unsigned* in, float* out, int rounds) {
  const int l = threadIdx.x;
  unsigned a[4], b[2];
  for (int i = 0; i < 4; i++) a[i] = in[i * 32 + l];
  for (int i = 0; i < 2; i++) b[i] = in[(4 + i) * 32 + l];
  float d[4][4] = {};
  for (int r = 0; r < rounds; r++)
    for (int j = 0; j < 4; j++)
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < 4; i++) out[(j * 4 + i) * 32 + l] = d[j][i];
}
