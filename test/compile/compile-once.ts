// Compiles one kernel into a cache folder: `compile-once.ts LIBNVRTC DIRECTORY`.
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";

const [library = "", directory = ""] = process.argv.slice(2);
process.env.HYDRANT_NVRTC = library;
const cache = new KernelCache({ directory });
const module = compileCuda(
  openNvrtc(),
  {
    source: 'extern "C" __global__ void k(float* p) { p[threadIdx.x] = 1.0f; }\n',
    name: "k.cu",
    arch: "sm_80",
  },
  cache,
);
if (!module.ptx.includes(".entry k") || cache.problem !== undefined) process.exit(1);
