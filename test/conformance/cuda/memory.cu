// Loads and stores of every width, spaces and generic pointers.
template <typename T>
__device__ void copy(const void* from, void* to, int i) {
  static_cast<T*>(to)[i] = static_cast<const T*>(from)[i];
}
extern "C" __global__ void widths(const unsigned char* in, unsigned char* out, int bytes) {
  const int i = threadIdx.x;
  copy<unsigned char>(in, out, i);
  copy<unsigned short>(in + bytes, out + bytes, i);
  copy<unsigned>(in + 2 * bytes, out + 2 * bytes, i);
  copy<unsigned long long>(in + 3 * bytes, out + 3 * bytes, i);
  copy<uchar4>(in + 4 * bytes, out + 4 * bytes, i);
  copy<ushort4>(in + 5 * bytes, out + 5 * bytes, i);
  copy<uint2>(in + 6 * bytes, out + 6 * bytes, i);
  copy<uint4>(in + 7 * bytes, out + 7 * bytes, i);
  copy<double2>(in + 8 * bytes, out + 8 * bytes, i);
  copy<uchar2>(in + 9 * bytes, out + 9 * bytes, i);
}

__constant__ int table[8] = {3, 1, 4, 1, 5, 9, 2, 6};
__device__ int counter = 5;

struct Settings {
  int scale;
  float bias[3];
  char mode;
};

extern "C" __global__ void spaces(const int* in, int* out, Settings settings) {
  extern __shared__ int dynamic[];
  __shared__ short small[32];
  const int t = threadIdx.x;
  int local[16];
  for (int j = 0; j < 16; j++) local[j] = in[(t + j) % 32] * table[j % 8];
  dynamic[t] = local[in[t] & 15];
  small[t] = static_cast<short>(t - 100);
  __syncthreads();
  // A pointer into one of three spaces, chosen per thread.
  const int* p = t % 3 == 0 ? &dynamic[31 - t] : t % 3 == 1 ? &local[t % 16] : in + t;
  out[t] = *p * settings.scale + static_cast<int>(settings.bias[t % 3]) + settings.mode + small[(t + 1) % 32];
  if (t == 0) out[32] = counter;
}

extern "C" __global__ void strided(const float* in, float* out, int n, int stride) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = in[static_cast<long long>(i) * stride] * 2.0f;
}

extern "C" __global__ void transpose(const float* in, float* out, int width, int height) {
  __shared__ float tile[16][17];
  int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
  if (x < width && y < height) tile[threadIdx.y][threadIdx.x] = in[y * width + x];
  __syncthreads();
  x = blockIdx.y * 16 + threadIdx.x;
  y = blockIdx.x * 16 + threadIdx.y;
  if (x < height && y < width) out[y * height + x] = tile[threadIdx.x][threadIdx.y];
}
