// Blocks and grids that wait for one another.
extern "C" __global__ void block_votes(const int* in, int* out) {
  const int t = threadIdx.x;
  const int v = in[blockIdx.x * blockDim.x + t];
  const int count = __syncthreads_count(v > 0);
  const int any = __syncthreads_or(v > 90);
  const int all = __syncthreads_and(v > -90);
  out[blockIdx.x * blockDim.x + t] = count * 4 + (any != 0) * 2 + (all != 0);
}

// Warp 0 fills a buffer, warps 1 and 2 empty it; two named barriers pass it to and fro.
extern "C" __global__ void pipeline(const int* in, int* out, int rounds) {
  __shared__ int buffer[64];
  const int t = threadIdx.x;
  for (int r = 0; r < rounds; r++) {
    if (t < 32) {
      if (r > 0) asm volatile("bar.sync 2, 96;" ::: "memory");
      buffer[t] = in[r * 64 + t];
      buffer[t + 32] = in[r * 64 + 32 + t];
      asm volatile("bar.arrive 1, 96;" ::: "memory");
    } else {
      asm volatile("bar.sync 1, 96;" ::: "memory");
      out[r * 64 + t - 32] = buffer[95 - t] * 2;
      if (r + 1 < rounds) asm volatile("bar.arrive 2, 96;" ::: "memory");
    }
  }
}

// The last block to finish adds up what all blocks have left.
extern "C" __global__ void last_block(const float* in, float* partial, unsigned* ticket, float* out, int n) {
  __shared__ float sums[128];
  __shared__ bool last;
  const int t = threadIdx.x;
  float sum = 0.0f;
  for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) sum += in[i];
  sums[t] = sum;
  __syncthreads();
  for (int s = 64; s > 0; s >>= 1) {
    if (t < s) sums[t] += sums[t + s];
    __syncthreads();
  }
  if (t == 0) {
    partial[blockIdx.x] = sums[0];
    __threadfence();
    last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && t == 0) {
    float total = 0.0f;
    for (int b = 0; b < gridDim.x; b++) total += static_cast<volatile float*>(partial)[b];
    out[0] = total;
  }
}

// All blocks wait for one another, several times; needs them all resident.
extern "C" __global__ void grid_barrier(int* values, unsigned* arrived, int rounds) {
  const int n = gridDim.x * blockDim.x;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int r = 0; r < rounds; r++) {
    const int neighbour = values[(i + blockDim.x) % n + (r & 1) * n];
    values[i + ((r + 1) & 1) * n] = neighbour + 1;
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(arrived, 1);
      while (*static_cast<volatile unsigned*>(arrived) < (r + 1) * gridDim.x) {
      }
      __threadfence();
    }
    __syncthreads();
  }
}
