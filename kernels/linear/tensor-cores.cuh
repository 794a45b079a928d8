// The main loop of 16-bit linear layers: weight rows are M of the tensor cores' products, tokens are
// N, so that one token costs one n8 tile and 64 cost eight, with the same arithmetic for each.
// Weights come packed as the instruction's fragments (src/ir/weight-layout.ts): a lane reads its
// registers as 16 bytes. Weights and activations pass through a ring in shared memory. With kBulk
// (compute capability 9.0) one thread copies the weights in bulk, counted by an mbarrier per stage,
// from before the kernel's inputs are there: weights then stream on from kernel to kernel.
#pragma once
#include "kernels/linear/chunks.cuh"
#include "kernels/linear/place.cuh"
#include "kernels/linear/sums.cuh"
#include "prelude/async-copy.cuh"
#include "prelude/memory.cuh"
#include "prelude/mma.cuh"

DEVICE void mma(const bf16*, float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { mma_m16n8k16_bf16(d, a, b); }
DEVICE void mma(const f16*, float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { mma_m16n8k16_f16(d, a, b); }

// How a block's work is cut. The warps of a block are kWarpsK groups along the inputs, each with a
// ring of its own; a group is kWarpsOutputs x kWarpsRows warps that share what is in the ring.
template <typename Config>
struct TensorCoreShape : InputChunks<Config> {
  using Chunks = InputChunks<Config>;

  static constexpr int kBlockOutputs = Config::kTileOutputs * Config::kBlockTiles;
  static constexpr int kWeightTiles = kBlockOutputs / 16;  // of each weight, m16 tiles
  static constexpr int kBlockM = Config::kWeights * kWeightTiles;
  static constexpr int kM = kBlockM / Config::kWarpsOutputs;  // of a warp
  static constexpr int kN = Config::kRows / 8 / Config::kWarpsRows;
  static constexpr int kGroupWarps = Config::kWarpsOutputs * Config::kWarpsRows;
  static constexpr int kThreads = 32 * kGroupWarps * Config::kWarpsK;

  // The parts a group multiplies, one after another.
  static constexpr int kGroupParts = Config::kParts / (Config::kWarpsK * Config::kSplit);

  // 16 bytes between the rows: eight rows of an 8x8 matrix then lie in all 32 banks.
  static constexpr int kRowBytes = 2 * Chunks::kChunkInputs + 16;
  static constexpr int kWeightBytes = kBlockM * Chunks::kChunkTiles * 512;
  static constexpr int kStageBytes = kWeightBytes + Config::kRows * kRowBytes;
  // Shared memory: barriers, factors of the rows, rings.
  static constexpr int kBarrierBytes = Config::kBulk ? (8 * Config::kStages * Config::kWarpsK + 15) / 16 * 16 : 0;
  static constexpr int kScaleBytes = Config::kScaleParts > 0 ? (4 * Config::kRows + 15) / 16 * 16 : 0;
  static constexpr int kRingOffset = kBarrierBytes + kScaleBytes;

  static_assert(kBlockM % Config::kWarpsOutputs == 0, "warps share the outputs evenly");
  static_assert(Config::kRows % (8 * Config::kWarpsRows) == 0, "warps share the rows evenly");
  static_assert(kBlockM * Chunks::kChunkTiles % kGroupWarps == 0, "warps copy the same number of tiles");
  static_assert(Config::kParts == kGroupParts * Config::kWarpsK * Config::kSplit, "parts are shared evenly");
  // Parts are added in ascending order: a group that sums several must be the only one.
  static_assert(kGroupParts == 1 || kGroupParts == Config::kParts, "one part or all");
};

template <typename Config>
struct TensorCores {
  using Shape = TensorCoreShape<Config>;
  using T = typename Config::Weight;
  using Accumulators = float[Shape::kM][Shape::kN][4];

  const Table<const T, Config::kPointers>& weights;
  const T* x;
  Place place;     // of the block
  u32 ring;        // of the group
  u32 barriers;    // of the group: one for each stage
  int group;       // along the inputs
  int group_warp;  // in the group
  int lane;

  DEVICE int outputs_warp() const { return group_warp % Config::kWarpsOutputs; }
  DEVICE int rows_warp() const { return group_warp / Config::kWarpsOutputs; }
  // The weight and the m16 tile in the block that a warp's tile m is.
  DEVICE int weight_of(int m) const { return (outputs_warp() * Shape::kM + m) / Shape::kWeightTiles; }
  DEVICE int output_of(int m) const { return (outputs_warp() * Shape::kM + m) % Shape::kWeightTiles * 16; }
  // Every tile of every warp is the block's.
  DEVICE static constexpr bool has_tile(int) { return true; }
  DEVICE int row_of(int n) const { return (rows_warp() * Shape::kN + n) * 8; }


  DEVICE void group_barrier() const {
    if constexpr (Shape::kGroupWarps == 1) {
      __syncwarp();
    } else if constexpr (Config::kWarpsK == 1) {
      __syncthreads();
    } else {
      asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "n"(32 * Shape::kGroupWarps) : "memory");
    }
  }

  // Tiles go round the warps along the inputs first: together they read 2 KB that lie together.
  DEVICE void copy_weights(u32 stage, int chunk) const {
#pragma unroll
    for (int i = 0; i < Shape::kBlockM * Shape::kChunkTiles / Shape::kGroupWarps; i++) {
      const int slot = i * Shape::kGroupWarps + group_warp;
      const int m = slot / Shape::kChunkTiles;
      const int output = m % Shape::kWeightTiles * 16;
      const int k_tile = chunk * Shape::kChunkTiles + slot % Shape::kChunkTiles;
      const bool there = output < place.outputs && (Shape::kTiles % Shape::kChunkTiles == 0 || k_tile < Shape::kTiles);
      const T* weight = weights.at[Config::kWeights > 1 ? m / Shape::kWeightTiles : place.weight];
      const size_t tile = static_cast<size_t>((place.first_output + output) / 16) * Shape::kTiles + k_tile;
      cp_async_16(stage + slot * 512 + lane * 16, weight + tile * 256 + lane * 8, there ? 16 : 0);
    }
  }

  DEVICE bool copies_weights() const { return group_warp == 0 && lane == 0; }

  // A tile's chunk lies together in memory. All of the block's outputs and inputs are there.
  DEVICE void bulk_copy_weights(int stage, int chunk) const {
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
    constexpr u32 kBytes = Shape::kChunkTiles * 512;
    const u32 barrier = barriers + 8 * stage;
    mbarrier_arrive_expect(barrier, Shape::kWeightBytes);
#pragma unroll 4
    for (int m = 0; m < Shape::kBlockM; m++) {
      const int output = place.first_output + m % Shape::kWeightTiles * 16;
      const T* weight = weights.at[Config::kWeights > 1 ? m / Shape::kWeightTiles : place.weight];
      const size_t tile = static_cast<size_t>(output / 16) * Shape::kTiles + chunk * Shape::kChunkTiles;
      bulk_copy(ring + stage * Shape::kStageBytes + m * kBytes, weight + tile * 256, kBytes, barrier);
    }
#endif
  }

  // What needs no other kernel's results: barriers, and the first copies of weights.
  DEVICE void start(int first_part) const {
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
    if (!copies_weights()) return;
    for (int stage = 0; stage < Config::kStages; stage++) mbarrier_init(barriers + 8 * stage, 1);
    mbarrier_init_fence();
    async_proxy_fence();
    const int first = Shape::part_start(first_part), end = Shape::part_start(first_part + Shape::kGroupParts);
    for (int i = 0; i < Config::kStages - 1 && first + i < end; i++) bulk_copy_weights(i, first + i);
#endif
  }

  DEVICE void wait_weights(int stage, u32 parity) const {
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ >= 12
    mbarrier_wait(barriers + 8 * stage, parity);
#endif
  }

  // Zeros past the rows and past the inputs: they meet whatever the other operand has there.
  DEVICE void copy_rows(unsigned char* stage, int chunk) const {
    constexpr int kPieces = Shape::kChunkInputs / 8;
#pragma unroll
    for (int i = group_warp * 32 + lane; i < Config::kRows * kPieces; i += 32 * Shape::kGroupWarps) {
      const int row = i / kPieces;
      const int piece = i % kPieces;
      const int input = chunk * Shape::kChunkInputs + piece * 8;
      const T* from = x + static_cast<size_t>(place.first_row + row) * Config::kInputs + input;
      unsigned char* to = stage + row * Shape::kRowBytes + piece * 16;
      if constexpr (Config::kInputs % 8 == 0) {
        const bool there = row < place.rows && (Config::kInputs % Shape::kChunkInputs == 0 || input < Config::kInputs);
        cp_async_16(shared_address(to), from, there ? 16 : 0);
      } else {
        // Rows start anywhere: elements one by one.
        Vec<T, 8> value = {};
#pragma unroll
        for (int j = 0; j < 8; j++) {
          if (row < place.rows && input + j < Config::kInputs) value[j] = from[j];
        }
        store(reinterpret_cast<T*>(to), value);
      }
    }
  }

  DEVICE void multiply(u32 stage, Accumulators& sums) const {
    // Lane l gives ldmatrix row l % 8 of matrix l / 8: the matrices are 8 tokens by 32 inputs.
    const u32 rows = stage + Shape::kWeightBytes + (row_of(0) + lane % 8) * Shape::kRowBytes + lane / 8 * 16;
    const u32 tiles = stage + outputs_warp() * Shape::kM * Shape::kChunkTiles * 512 + lane * 16;
#pragma unroll
    for (int pair = 0; pair < Shape::kChunkTiles / 2; pair++) {
      u32 a[2][Shape::kM][4];
#pragma unroll
      for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int m = 0; m < Shape::kM; m++) {
          load_shared_4(a[half][m], tiles + (m * Shape::kChunkTiles + 2 * pair + half) * 512);
        }
      }
#pragma unroll
      for (int n = 0; n < Shape::kN; n++) {
        u32 b[4];
        ldmatrix_x4(b, rows + n * 8 * Shape::kRowBytes + pair * 64);
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const u32 fragment[2] = {b[2 * half], b[2 * half + 1]};
#pragma unroll
          for (int m = 0; m < Shape::kM; m++) mma(x, sums[m][n], a[half][m], fragment);
        }
      }
    }
  }

  // The products of parts [first, first + kGroupParts), each summed from zero in ascending inputs,
  // then added up in ascending order. `meanwhile` is called once the first copies are under way.
  template <typename Meanwhile>
  DEVICE void run(unsigned char* ring_start, int first_part, const Meanwhile& meanwhile, Accumulators& sums) const {
    const int end = Shape::part_start(first_part + Shape::kGroupParts);
    int ahead = Shape::part_start(first_part);
    int fill = 0;  // stage that is copied to next
    const auto copy_ahead = [&](bool is_started) {
      if (ahead < end) {
        if constexpr (!Config::kBulk) {
          copy_weights(ring + fill * Shape::kStageBytes, ahead);
        } else if (!is_started && copies_weights()) {
          bulk_copy_weights(fill, ahead);
        }
        copy_rows(ring_start + fill * Shape::kStageBytes + Shape::kWeightBytes, ahead);
      }
      cp_async_commit();  // Empty groups too: waits count them.
      ahead++;
      fill = fill + 1 == Config::kStages ? 0 : fill + 1;
    };
#pragma unroll
    for (int i = 0; i < Config::kStages - 1; i++) copy_ahead(true);
    meanwhile();

    int use = 0;  // stage that is multiplied next
    u32 parity = 0;
    Accumulators part_sums;
#pragma unroll 1
    for (int part = 0; part < Shape::kGroupParts; part++) {
      Accumulators& accumulators = Shape::kGroupParts == 1 ? sums : part_sums;
      clear_sums(accumulators);
#pragma unroll 1
      for (int chunk = Shape::part_start(first_part + part); chunk < Shape::part_start(first_part + part + 1); chunk++) {
        cp_async_wait<Config::kStages - 2>();
        // Everybody's copies have landed, and nobody reads the stage that is filled next any more.
        group_barrier();
        copy_ahead(false);
        if constexpr (Config::kBulk) wait_weights(use, parity);
        multiply(ring + use * Shape::kStageBytes, accumulators);
        use = use + 1 == Config::kStages ? 0 : use + 1;
        if (use == 0) parity ^= 1;
      }
      if constexpr (Shape::kGroupParts > 1) {
#pragma unroll
        for (int m = 0; m < Shape::kM; m++) {
#pragma unroll
          for (int n = 0; n < Shape::kN; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
              sums[m][n][i] = part == 0 ? part_sums[m][n][i] : sums[m][n][i] + part_sums[m][n][i];
            }
          }
        }
      }
    }
  }
};
