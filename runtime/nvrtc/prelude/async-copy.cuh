// Copies from global to shared memory that run beside the arithmetic: cp.async on compute
// capability 8.0, bulk copies with an mbarrier on 9.0 (NVRTC 12 and newer).
#pragma once
#include "prelude/types.cuh"

// 16 bytes, past L1. Of these the first `bytes` are copied and the rest become zero; with
// `bytes` 0 the source is not touched. Visible to this thread after the wait of its group.
DEVICE void cp_async_16(u32 destination, const void* source, u32 bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(destination), "l"(source), "r"(bytes)
               : "memory");
}
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most N of the groups this thread committed are under way.
template <int N>
DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Programmatic dependent launch: a kernel may start while those before it in its stream still run, and
// touches what they touch after the wait. Before compute capability 9.0 kernels start later and
// there is nothing to say.
DEVICE void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// From here on the next kernel may start where there is room.
DEVICE void grid_launch_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#if __CUDA_ARCH__ >= 900
// Clusters: blocks that share their shared memory.
DEVICE u32 cluster_rank() {
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
DEVICE u32 cluster_size() {
  u32 size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
// The same variable in the block of that rank.
DEVICE u32 cluster_address(u32 shared, u32 rank) {
  u32 mapped;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(shared), "r"(rank));
  return mapped;
}
DEVICE float cluster_load(u32 mapped) {
  float value;
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(mapped) : "memory");
  return value;
}
DEVICE Vec<float, 4> cluster_load_4(u32 mapped) {
  Vec<float, 4> value;
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(value[0]), "=f"(value[1]), "=f"(value[2]), "=f"(value[3])
               : "r"(mapped)
               : "memory");
  return value;
}
// No block may leave or read another's shared memory before all have come here.
DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.aligned;" ::: "memory"); }
// Says that this block has come so far, and nothing about what it wrote: without the fence that takes.
DEVICE void cluster_arrive_relaxed() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.aligned;" ::: "memory"); }
DEVICE void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
#endif

#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
// An mbarrier counts arrivals and bytes of bulk copies; its phase flips when both are complete.
DEVICE void mbarrier_init(u32 barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// Between the initialisation and the first bulk copy that uses the barrier.
DEVICE void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
DEVICE void mbarrier_arrive(u32 barrier) {
  asm volatile("{\n\t.reg .b64 state;\n\tmbarrier.arrive.shared::cta.b64 state, [%0];\n\t}" ::"r"(barrier)
               : "memory");
}
DEVICE void mbarrier_arrive_expect(u32 barrier, u32 bytes) {
  asm volatile("{\n\t.reg .b64 state;\n\tmbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;\n\t}" ::"r"(barrier),
               "r"(bytes)
               : "memory");
}
// True once the phase of that parity is over.
DEVICE bool mbarrier_try_wait(u32 barrier, u32 parity) {
  u32 done;
  asm volatile(
      "{\n\t.reg .pred done;\n\tmbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n\tselp.u32 %0, 1, 0, done;\n\t}"
      : "=r"(done)
      : "r"(barrier), "r"(parity)
      : "memory");
  return done != 0;
}
DEVICE void mbarrier_wait(u32 barrier, u32 parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}
// `bytes` and both addresses are multiples of 16. Completes on the barrier of this block.
DEVICE void bulk_copy(u32 destination, const void* source, u32 bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(destination),
      "l"(source), "r"(bytes), "r"(barrier)
      : "memory");
}
// How copies find boxes of a matrix (CUtensorMap): a kernel parameter, `const __grid_constant__`.
struct alignas(128) TensorMap {
  u8 bytes[128];
};
// The map into its cache, before the first copy that needs it.
DEVICE void tensor_map_prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
// A box whose first element is at (row, column) of the matrix; zeros past its end, and they count: always
// the bytes of a whole box. `destination` is a multiple of 1024, so that row r has its 16-byte piece p
// at r * 128 + (p ^ r % 8) * 16. Completes on the barrier of this block.
DEVICE void tensor_copy(u32 destination, const TensorMap& map, int column, int row, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(destination),
      "l"(&map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}
// Arrives at the same barrier of the block of that rank: what this thread read there may be overwritten.
// What it wrote is not released to the cluster, which would take a fence of the whole device.
DEVICE void mbarrier_arrive_cluster(u32 barrier, u32 rank) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(cluster_address(barrier, rank)) : "memory");
}
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Only compute_90a has the hardware: elsewhere ptxas advises against it.
// bulk_copy to the same offset of every block of the cluster whose bit is set in `blocks`; completes on
// each one's barrier, at the offset of `barrier`.
DEVICE void bulk_copy_multicast(u32 destination, const void* source, u32 bytes, u32 barrier, u16 blocks) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(destination),
      "l"(source), "r"(bytes), "r"(barrier), "h"(blocks)
      : "memory");
}
// tensor_copy to every block whose bit is set.
DEVICE void tensor_copy_multicast(u32 destination, const TensorMap& map, int column, int row, u32 barrier,
                                  u16 blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(destination),
      "l"(&map), "r"(column), "r"(row), "r"(barrier), "h"(blocks)
      : "memory");
}
#endif
// Orders writes to shared memory before reads of it by bulk copies and wgmma.
DEVICE void async_proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
#endif
