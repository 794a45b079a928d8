// Warpgroup matrix multiplication: sm_90a only, NVRTC 12 and newer. Four warps together compute
// D (64xN, float) += A (64x16) * B (16xN), B in shared memory, A there or in registers.
#pragma once
#include "prelude/types.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// How an operand lies in shared memory. `leading` and `stride` are byte distances between 8x8 core
// matrices, along k and along rows for operands stored with k contiguous. Swizzle: 0 none,
// 1 128-byte, 2 64-byte, 3 32-byte.
DEVICE u64 wgmma_descriptor(u32 address, u32 leading, u32 stride, u32 swizzle) {
  return static_cast<u64>((address & 0x3ffffu) >> 4) | static_cast<u64>((leading & 0x3ffffu) >> 4) << 16 |
         static_cast<u64>((stride & 0x3ffffu) >> 4) << 32 | static_cast<u64>(swizzle) << 62;
}

// Before the first wgmma and after any other access to its accumulators.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most N committed groups are under way; accumulators may be read after wait<0>.
template <int N>
DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// Lane l of warp w holds rows 16w + l / 4 (d[4i], d[4i+1]) and 8 further (d[4i+2], d[4i+3]),
// columns 8i + 2 (l % 4) and the next.
DEVICE void wgmma_m64n8k16_bf16(float (&d)[4], u64 a, u64 b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %5, 1, 1, 1, 0, 0;"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "l"(a), "l"(b));
}
DEVICE void wgmma_m64n16k16_bf16(float (&d)[8], u64 a, u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
      : "l"(a), "l"(b));
}
DEVICE void wgmma_m64n32k16_bf16(float (&d)[16], u64 a, u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, "
      "%12, %13, %14, %15}, %16, %17, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
        "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
      : "l"(a), "l"(b));
}
DEVICE void wgmma_m64n64k16_bf16(float (&d)[32], u64 a, u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, "
      "%12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "%32, %33, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
        "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
        "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
        "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
      : "l"(a), "l"(b));
}

// A from registers: the fragments of mma.m16n8k16 (mma.cuh), warp w of the four having rows
// 16w to 16w + 15 of A and D. d[n] is D's columns 8n to 8n + 7, as in mma_m16n8k16. Neither a nor d may
// be touched before the wait.
#define WGMMA_D(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define WGMMA_D4(n) WGMMA_D(n), WGMMA_D(n + 1), WGMMA_D(n + 2), WGMMA_D(n + 3)
#define WGMMA_M64N8K16(TYPE)                                           \
  asm volatile(                                                        \
      "wgmma.mma_async.sync.aligned.m64n8k16.f32." TYPE "." TYPE " {"  \
      "%0, %1, %2, %3}, "                                              \
      "{%4, %5, %6, %7}, %8, 1, 1, 1, 0;"                              \
      : WGMMA_D(0)                                                     \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define WGMMA_M64N16K16(TYPE)                                           \
  asm volatile(                                                         \
      "wgmma.mma_async.sync.aligned.m64n16k16.f32." TYPE "." TYPE " {"  \
      "%0, %1, %2, %3, %4, %5, %6, %7}, "                               \
      "{%8, %9, %10, %11}, %12, 1, 1, 1, 0;"                            \
      : WGMMA_D(0), WGMMA_D(1)                                          \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define WGMMA_M64N32K16(TYPE)                                                    \
  asm volatile(                                                                  \
      "wgmma.mma_async.sync.aligned.m64n32k16.f32." TYPE "." TYPE " {"           \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "  \
      "{%16, %17, %18, %19}, %20, 1, 1, 1, 0;"                                   \
      : WGMMA_D4(0)                                                              \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define WGMMA_M64N64K16(TYPE)                                                                            \
  asm volatile(                                                                                          \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " {"                                   \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, "  \
      "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "                                         \
      "{%32, %33, %34, %35}, %36, 1, 1, 1, 0;"                                                           \
      : WGMMA_D4(0), WGMMA_D4(4)                                                                         \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define WGMMA_M64N128K16(TYPE)                                                                           \
  asm volatile(                                                                                          \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " {"                                  \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, "  \
      "%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, "  \
      "%40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "  \
      "%59, %60, %61, %62, %63}, "                                                                       \
      "{%64, %65, %66, %67}, %68, 1, 1, 1, 0;"                                                           \
      : WGMMA_D4(0), WGMMA_D4(4), WGMMA_D4(8), WGMMA_D4(12)                                              \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
DEVICE void wgmma_k16(const bf16*, float (&d)[1][4], const u32 (&a)[4], u64 b) { WGMMA_M64N8K16("bf16"); }
DEVICE void wgmma_k16(const f16*, float (&d)[1][4], const u32 (&a)[4], u64 b) { WGMMA_M64N8K16("f16"); }
DEVICE void wgmma_k16(const bf16*, float (&d)[2][4], const u32 (&a)[4], u64 b) { WGMMA_M64N16K16("bf16"); }
DEVICE void wgmma_k16(const f16*, float (&d)[2][4], const u32 (&a)[4], u64 b) { WGMMA_M64N16K16("f16"); }
DEVICE void wgmma_k16(const bf16*, float (&d)[4][4], const u32 (&a)[4], u64 b) { WGMMA_M64N32K16("bf16"); }
DEVICE void wgmma_k16(const f16*, float (&d)[4][4], const u32 (&a)[4], u64 b) { WGMMA_M64N32K16("f16"); }
DEVICE void wgmma_k16(const bf16*, float (&d)[8][4], const u32 (&a)[4], u64 b) { WGMMA_M64N64K16("bf16"); }
DEVICE void wgmma_k16(const f16*, float (&d)[8][4], const u32 (&a)[4], u64 b) { WGMMA_M64N64K16("f16"); }
DEVICE void wgmma_k16(const bf16*, float (&d)[16][4], const u32 (&a)[4], u64 b) { WGMMA_M64N128K16("bf16"); }
DEVICE void wgmma_k16(const f16*, float (&d)[16][4], const u32 (&a)[4], u64 b) { WGMMA_M64N128K16("f16"); }
#undef WGMMA_D
#undef WGMMA_D4
#undef WGMMA_M64N8K16
#undef WGMMA_M64N16K16
#undef WGMMA_M64N32K16
#undef WGMMA_M64N64K16
#undef WGMMA_M64N128K16

// After the wait: nothing the compiler does with the accumulators may come before it.
template <int N>
DEVICE void wgmma_settle(float (&d)[N][4]) {
#pragma unroll
  for (int n = 0; n < N; n++) asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
}
#endif
