// The end of a run in a loop on the device: whether another run follows.
#pragma once
#include "prelude/types.cuh"

// Of the device's own runtime: the value a conditional node looks at after its body.
extern "C" __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned int value);

namespace loop {

// Words as src/ir/loop-block.ts has them.
struct Block {
  int runs;
  int length;
  int last_length;
  int stop_count;
  int stops[60];
};
struct Signals {
  u32 stop;
  u32 ended;
};

// The host may write the word at any moment; all lanes go by one answer.
DEVICE bool is_asked_to_end(const volatile Signals* signals) { return __any_sync(0xffffffffu, signals->stop != 0); }

// True in all lanes when one of the tokens from `begin` to `end` is a stop token. Pairs are spread
// over the lanes, so that the usual few of them cost one wait for memory.
DEVICE bool has_stop(const Block& block, int stop_count, const int* history, int begin, int end) {
  bool found = false;
#pragma unroll 1
  for (int i = threadIdx.x; i < (end - begin) * stop_count; i += 32)
    found |= history[begin + i / stop_count] == block.stops[i % stop_count];
  return __any_sync(0xffffffffu, found);
}

// One warp, after everything the run has written. A run that committed nothing is the last as well:
// it found no token to go on with, and the next would find none either.
DEVICE void end_run(u64 handle, Block* block, volatile Signals* signals, bool is_asked, const int* length_state,
                    const int* history) {
  const int begin = block->length;
  const int end = *length_state;
  const int runs = block->runs - 1;
  const int last_length = block->last_length;
  const bool is_over = is_asked || runs <= 0 || end == begin || end > last_length ||
                       has_stop(*block, block->stop_count, history, begin, end);
  __syncwarp();  // All have read what one of them changes now.
  if (threadIdx.x != 0) return;
  block->runs = runs;
  block->length = end;
  cudaGraphSetConditional(handle, is_over ? 0u : 1u);
  if (!is_over) return;
  // The host takes this for the end of everything above, and may lay down the next loop at once.
  __threadfence_system();
  signals->ended = 1;
}

}  // namespace loop
