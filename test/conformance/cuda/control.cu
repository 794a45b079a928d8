// Divergence of every shape: lanes of a warp take different ways and meet again.
extern "C" __global__ void branches(int* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  int r = 0;
  if (i & 1) {
    r += 10;
    if (i & 2) {
      r += 100;
      if (i % 7 == 0) r *= 2;
    } else {
      r -= 5;
    }
  } else if (i & 4) {
    r = i * 3;
  } else {
    for (int j = 0; j < i % 9; j++) r += j * i;
  }
  switch (i % 6) {
    case 0: r ^= 1; break;
    case 1: r += 7;
    case 2: r *= 3; break;
    case 4: r = -r; break;
    default: r += 1000;
  }
  out[i] = r;
}

extern "C" __global__ void loops(const int* in, int* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  int r = 0;
  for (int j = 0; j < 50; j++) {
    if (j > i % 17) break;
    if ((j + i) % 3 == 0) continue;
    for (int k = 0; k < 20; k++) {
      r += in[(j * k + i) & 63];
      if (r > 500 + i) goto done;
      if (k > j) break;
    }
  }
done:
  int n = i + 1, steps = 0;
  while (n != 1 && steps < 200) {
    n = n % 2 ? 3 * n + 1 : n / 2;
    steps++;
  }
  out[i] = r * 1000 + steps;
}

// Threads leave at different points; the others go on with warp operations and barriers.
extern "C" __global__ void exits(int* out, int n) {
  __shared__ int tile[128];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i;
  __syncthreads();
  if (i >= n) return;
  if (i % 5 == 0) {
    out[i] = -1;
    return;
  }
  int r = tile[(threadIdx.x + 1) % blockDim.x];
  if (i % 5 == 1) {
    out[i] = r;
    return;
  }
  for (int j = 0; j < 10; j++) {
    r += j;
    if (r % 11 == 0) {
      out[i] = -r;
      return;
    }
  }
  out[i] = r;
}

__device__ __noinline__ int collatz(int n, int* calls) {
  *calls += 1;
  return n % 2 ? 3 * n + 1 : n / 2;
}
__device__ __noinline__ float weighted(float a, float b, const float (&w)[2]) { return a * w[0] + b * w[1]; }

extern "C" __global__ void calls(int* out, float* weights) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  int n = i + 3, count = 0;
  for (int j = 0; j < 5; j++)
    if (n > 1) n = collatz(n, &count);
  const float w[2] = {weights[0], weights[1]};
  out[i] = n * 10 + count;
  weights[2 + i] = weighted(i, n, w);
}

// A barrier in a loop all threads run equally often, with divergence between the barriers.
extern "C" __global__ void barriers(int* out, int rounds) {
  __shared__ int tile[96];
  const int t = threadIdx.x;
  tile[t] = t;
  __syncthreads();
  for (int r = 0; r < rounds; r++) {
    int v = tile[(t + r + 1) % 96];
    if (t % 3 == r % 3) {
      for (int j = 0; j < t % 4; j++) v += j;
    }
    __syncthreads();
    tile[t] = v + 1;
    __syncthreads();
    if (r % 2) {
      if (t < 48) tile[t] += tile[t + 48];
      __syncthreads();
    }
  }
  out[t] = tile[t];
}
