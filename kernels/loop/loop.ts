import type { KernelSource } from "../../src/ir/program.ts";

/**
 * The kernel after a run's last launch when runs repeat on the device. It ends the loop after a run
 * that committed a stop token or nothing at all, that leaves too little room for another, that was
 * the last of those allowed, or before whose end the host asked for it.
 */
export function loopKernel(): KernelSource {
  const threads = 32;
  const entry = "loop_end_run";
  return {
    entry,
    family: "loop",
    threads,
    sharedBytes: 0,
    // The host's word is fetched over the bus while the kernel before is still at work.
    source: `// Whether another run follows.
#include "prelude/all.cuh"
#include "kernels/loop/loop.cuh"

extern "C" __global__ void __launch_bounds__(${threads})
${entry}(u64 handle, loop::Block* block, volatile loop::Signals* signals, const int* length, const int* history) {
  const bool is_asked = loop::is_asked_to_end(signals);
  grid_dependency_wait();
  loop::end_run(handle, block, signals, is_asked, length, history);
}
`,
  };
}
