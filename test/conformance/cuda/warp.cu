// Operations between lanes: result k of thread i goes to out[k * n + i].
#define PUT(value) out[k++ * n + i] = (value)

extern "C" __global__ void shuffles(const int* in, int* out, int n) {
  const int i = threadIdx.x;
  int k = 0;
  const int v = in[i];
  const unsigned all = 0xffffffffu;
  PUT(__shfl_sync(all, v, i * 7 + 3));
  PUT(__shfl_sync(all, v, 5, 8));
  PUT(__shfl_up_sync(all, v, 3));
  PUT(__shfl_up_sync(all, v, 2, 16));
  PUT(__shfl_down_sync(all, v, 5));
  PUT(__shfl_down_sync(all, v, 1, 4));
  PUT(__shfl_xor_sync(all, v, 16));
  PUT(__shfl_xor_sync(all, v, 3, 8));
  float f = __int_as_float(v);
  PUT(__float_as_int(__shfl_xor_sync(all, f, 1)));
  const long long w = static_cast<long long>(v) << 20 | i;
  PUT(static_cast<int>(__shfl_down_sync(all, w, 9) >> 13));
  int r = -1;
  if (i % 32 < 16) r = __shfl_xor_sync(0xffffu, v, 4);
  else r = __shfl_down_sync(0xffff0000u, v, 2);
  PUT(r);
}

extern "C" __global__ void votes(const int* in, int* out, int n) {
  const int i = threadIdx.x;
  int k = 0;
  const int v = in[i];
  const unsigned all = 0xffffffffu;
  PUT(static_cast<int>(__ballot_sync(all, v > 0)));
  PUT(__all_sync(all, v > -1000));
  PUT(__all_sync(all, v > 0));
  PUT(__any_sync(all, v == 12345));
  PUT(__any_sync(all, v > 0));
  PUT(static_cast<int>(__match_any_sync(all, v & 3)));
  int pred;
  PUT(static_cast<int>(__match_all_sync(all, v & 3, &pred)) + pred);
  PUT(static_cast<int>(__match_all_sync(all, 7, &pred)) + pred);
  PUT(__reduce_add_sync(all, v));
  PUT(__reduce_min_sync(all, v));
  PUT(static_cast<int>(__reduce_max_sync(all, static_cast<unsigned>(v))));
  PUT(static_cast<int>(__reduce_and_sync(all, v | 5)));
  PUT(static_cast<int>(__reduce_or_sync(all, v & 0xff0)));
  PUT(static_cast<int>(__reduce_xor_sync(all, v)));
  int active = 0;
  if (i % 4 == 1) active = static_cast<int>(__activemask());
  __syncwarp();
  PUT(active);
  unsigned lane, below;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(below));
  PUT(static_cast<int>(lane));
  PUT(static_cast<int>(below));
}
