import { describe, expect, it } from "vitest";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { preludeHeaders } from "../../runtime/nvrtc/prelude.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const installed = installedNvrtc();

/** Uses every function of the prelude that the architecture has. */
const SOURCE = `#include "prelude/all.cuh"
template <typename T> DEVICE float round_trip(float x) { return to_float(from_float<T>(x)); }
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
#define MAP , const __grid_constant__ TensorMap map
#else
#define MAP
#endif
extern "C" __global__ void everything(float* out, const u32* in, const bf16* weights MAP) {
  __shared__ alignas(1024) u32 tile[4096];
  __shared__ alignas(8) u64 barrier;
  const u32 address = shared_address(tile);
  float sum = round_trip<bf16>(out[0]) + round_trip<f16>(out[1]) + round_trip<e4m3>(out[2]);
  sum += round_trip<float>(to_float(e5m2{static_cast<u8>(in[0])}));
  const Vec<bf16, 8> stream = load_stream(weights);
  const Vec<float, 4> vector = load<float, 4>(out);
  store(out + 4, vector);
  sum += to_float(stream[3]) + vector[2] + warp_sum(sum) + warp_max(sum);
  cp_async_16(address, in, 12);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  u32 a[4], b[2], c[4];
  ldmatrix_x4(a, address + threadIdx.x * 16);
  ldmatrix_x2(b, address + threadIdx.x * 16);
  ldmatrix_x4_trans(c, address + threadIdx.x * 16);
  float d[4] = {};
  i32 e[4] = {};
  mma_m16n8k16_bf16(d, a, b);
  mma_m16n8k16_f16(d, c, b);
  ldmatrix_x2_trans(b, address);
  a[0] = to_tf32(sum) ^ pack_bf16(sum, d[0]) ^ pack_f16(sum, d[1]);
  mma_m16n8k8_tf32(d, a, b);
  mma_m16n8k32_i8(e, a, b);
#if __CUDA_ARCH__ >= 890 && __CUDACC_VER_MAJOR__ >= 12
  mma_m16n8k32_e4m3(d, a, b);
#endif
#if __CUDA_ARCH__ >= 900
  grid_dependency_wait();
  grid_launch_dependents();
  sum += cluster_load(cluster_address(address, (cluster_rank() + 1) % cluster_size()));
  cluster_sync();
#endif
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
  const u32 bar = shared_address(&barrier);
  if (threadIdx.x == 0) {
    mbarrier_init(bar, 2);
    mbarrier_init_fence();
    mbarrier_arrive(bar);
    mbarrier_arrive_expect(bar, 64);
    bulk_copy(address, in, 64, bar);
    tensor_map_prefetch(map);
    tensor_copy(address, map, 64, 8, bar);
    mbarrier_arrive_cluster(bar, 1);
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    bulk_copy_multicast(address, in, 64, bar, 3);
    tensor_copy_multicast(address + 1024, map, 64, 16, bar, 3);
#endif
  }
  __syncthreads();
  mbarrier_wait(bar, 0);
  mbarrier_wait(bar, 1);
  async_proxy_fence();
#endif
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const u64 m = wgmma_descriptor(address, 128, 256, 0);
  float n8[4] = {}, n16[8] = {}, n32[16] = {}, n64[32] = {};
  wgmma_fence();
  wgmma_m64n8k16_bf16(n8, m, m);
  wgmma_m64n16k16_bf16(n16, m, m);
  wgmma_m64n32k16_bf16(n32, m, m);
  wgmma_m64n64k16_bf16(n64, m, m);
  wgmma_commit();
  wgmma_wait<0>();
  sum += n8[0] + n16[1] + n32[2] + n64[3];
#endif
  out[threadIdx.x] = sum + d[0] + e[1] + barrier;
}
`;

if (installed.length === 0) describe.skip(NO_NVRTC, () => it("compiles the prelude", () => {}));

describe.each(installed)("the prelude under $name", ({ nvrtc }) => {
  const hopper = nvrtc.version.major >= 12;
  const archs = ["sm_80", "sm_86", "sm_89", "sm_90", ...(hopper ? ["sm_90a", "sm_100"] : [])];

  // Real architectures: only then does ptxas read the inline assembly.
  it.each(archs)("assembles without warnings for %s", (arch) => {
    const module = compileCuda(nvrtc, {
      source: SOURCE,
      name: "everything.cu",
      arch,
      headers: preludeHeaders(),
    });
    expect(module.log).not.toMatch(/warning/);
    expect(module.cubin.length).toBeGreaterThan(0);
  });

  it("stands without any header of the toolkit", () => {
    const texts = Object.values(preludeHeaders()).join("\n");
    expect(
      [...texts.matchAll(/#include\s+(\S+)/g)].every(([, name]) => name?.startsWith('"prelude/')),
    ).toBe(true);
  });
});
