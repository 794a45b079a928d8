// The main loop of 16-bit linear layers on Hopper (sm_90a, NVRTC 12 and newer): weight rows are M of
// wgmma's products, tokens are N, as in tensor-cores.cuh, and weights come packed the same way. One
// warp more than multiply is the producer: one of its lanes fills a ring in shared memory, weights by
// bulk copies, activations by boxes of a tensor map. Full and empty are mbarriers: no barrier of the
// block is in the loop, and weights stream on from kernel to kernel.
// A warp takes its fragments of the weights into registers; the tensor cores read the activations from
// shared memory themselves, once for 64 outputs, where mma.sync needs them in registers of every warp.
// Blocks of a cluster share what they copy: those with other outputs the activations (kClusterOutputs),
// those with other rows the weights (kClusterRows). Each copies its share to all: what the copies of a
// block take from L2 is what limits 64 rows and more.
#pragma once
#include "kernels/linear/chunks.cuh"
#include "kernels/linear/place.cuh"
#include "kernels/linear/sums.cuh"
#include "prelude/async-copy.cuh"
#include "prelude/memory.cuh"
#include "prelude/wgmma.cuh"

template <typename Config>
struct WarpgroupShape : InputChunks<Config> {
  using Chunks = InputChunks<Config>;

  static constexpr int kBlockOutputs = Config::kTileOutputs * Config::kBlockTiles;
  static constexpr int kWeightTiles = kBlockOutputs / 16;  // of each weight, m16 tiles
  static constexpr int kBlockM = Config::kWeights * kWeightTiles;
  static constexpr int kM = (kBlockM + 4 * Config::kWarpgroups - 1) / (4 * Config::kWarpgroups);  // m64, of a warpgroup
  static constexpr int kN = Config::kRows / 8;
  static constexpr int kProducer = 4 * Config::kWarpgroups;  // the warp that copies

  static constexpr int kBlockParts = Config::kParts / Config::kSplit;  // one after another

  // A row of a chunk: the width of the 128-byte swizzle.
  static constexpr int kRowBytes = 2 * Chunks::kChunkInputs;
  static constexpr int kWeightBytes = kBlockM * Chunks::kChunkTiles * 512;
  static constexpr int kStageBytes = kWeightBytes + Config::kRows * kRowBytes;
  // Shared memory: barriers, factors of the rows, ring. Swizzled boxes lie at multiples of 1024.
  static constexpr int kBarrierBytes = 16 * Config::kStages;
  static constexpr int kScaleBytes = Config::kScaleParts > 0 ? 4 * Config::kRows : 0;
  static constexpr int kRingOffset = (kBarrierBytes + kScaleBytes + 1023) / 1024 * 1024;

  static constexpr int kBoxRows = Config::kRows / Config::kClusterOutputs;
  // Blocks that write into this block's ring, itself one of them.
  static constexpr int kWriters = Config::kClusterOutputs + Config::kClusterRows - 1;

  static_assert(Config::kInputs % 8 == 0, "rows of x begin at multiples of 16 bytes");
  static_assert(kBoxRows % 8 == 0, "boxes are whole patterns of the swizzle");
  static_assert(kBlockParts == 1 || Config::kSplit == 1, "one part or all");
};

template <typename Config>
struct Warpgroups {
  using Shape = WarpgroupShape<Config>;
  using T = typename Config::Weight;
  using Accumulators = float[Shape::kM][Shape::kN][4];

  const Table<const T, Config::kPointers>& weights;
  const TensorMap& x;
  Place place;     // of the block
  u32 ring;
  u32 barriers;    // full, then empty: one of each for each stage
  int first_part;
  int warp;
  int lane;

  DEVICE bool is_producer() const { return warp == Shape::kProducer; }
  // The m16 tile in the block that a warp's sixteen rows of product m are; it may be past the last, and
  // the producer's are.
  DEVICE int tile_of(int m) const { return (warp / 4 * Shape::kM + m) * 4 + warp % 4; }
  DEVICE int weight_of(int m) const { return tile_of(m) / Shape::kWeightTiles; }
  DEVICE int output_of(int m) const { return tile_of(m) % Shape::kWeightTiles * 16; }
  DEVICE bool has_tile(int m) const { return tile_of(m) < Shape::kBlockM; }
  DEVICE static constexpr int row_of(int n) { return n * 8; }
  DEVICE bool is_there(int m) const { return Config::kWhole || (has_tile(m) && output_of(m) < place.outputs); }

  DEVICE u32 full(int stage) const { return barriers + 8 * stage; }
  DEVICE u32 empty(int stage) const { return barriers + 8 * (Config::kStages + stage); }
  DEVICE u32 weights_at(int stage) const { return ring + stage * Shape::kStageBytes; }
  DEVICE u32 rows_at(int stage) const { return weights_at(stage) + Shape::kWeightBytes; }

  DEVICE int first_chunk() const { return Shape::part_start(first_part); }
  DEVICE int end_chunk() const { return Shape::part_start(first_part + Shape::kBlockParts); }
  DEVICE static int tiles_of(int chunk) { return min(Shape::kChunkTiles, Shape::kTiles - chunk * Shape::kChunkTiles); }

  // Clusters are kClusterRows x kSplit x kClusterOutputs blocks.
  DEVICE static int place_in_rows() { return blockIdx.x % Config::kClusterRows; }
  DEVICE static int place_in_outputs() { return blockIdx.z % Config::kClusterOutputs; }
  DEVICE static u32 rank_of(int in_rows, int in_outputs) {
    return in_rows + Config::kClusterRows * (blockIdx.y + Config::kSplit * in_outputs);
  }

  // The stage's barrier learns what it waits for; the weights set out.
  DEVICE void fill_weights(int stage, int chunk) const {
    const u32 bytes = tiles_of(chunk) * 512;
    const int tiles = min(Shape::kWeightTiles, (place.outputs + 15) / 16);
    mbarrier_arrive_expect(full(stage), Config::kWeights * tiles * bytes + Config::kRows * Shape::kRowBytes);
#pragma unroll 4
    for (int m = place_in_rows(); m < Shape::kBlockM; m += Config::kClusterRows) {
      const int output = m % Shape::kWeightTiles * 16;
      if (output >= place.outputs) continue;
      const T* weight = weights.at[Config::kWeights > 1 ? m / Shape::kWeightTiles : place.weight];
      const size_t tile = static_cast<size_t>((place.first_output + output) / 16) * Shape::kTiles + chunk * Shape::kChunkTiles;
      const u32 to = weights_at(stage) + m * Shape::kChunkTiles * 512;
      if constexpr (Config::kClusterRows == 1) {
        bulk_copy(to, weight + tile * 256, bytes, full(stage));
      } else {
        u32 blocks = 0;
#pragma unroll
        for (int i = 0; i < Config::kClusterRows; i++) blocks |= 1u << rank_of(i, place_in_outputs());
        bulk_copy_multicast(to, weight + tile * 256, bytes, full(stage), static_cast<u16>(blocks));
      }
    }
  }

  // Zeros past the rows and past the inputs: they meet whatever the weights have there.
  DEVICE void fill_rows(int stage, int chunk) const {
    const int first = place_in_outputs() * Shape::kBoxRows;
    const u32 to = rows_at(stage) + first * Shape::kRowBytes;
    const int column = chunk * Shape::kChunkInputs;
    if constexpr (Config::kClusterOutputs == 1) {
      tensor_copy(to, x, column, place.first_row + first, full(stage));
    } else {
      u32 blocks = 0;
#pragma unroll
      for (int i = 0; i < Config::kClusterOutputs; i++) blocks |= 1u << rank_of(place_in_rows(), i);
      tensor_copy_multicast(to, x, column, place.first_row + first, full(stage), static_cast<u16>(blocks));
    }
  }

  // What needs no other kernel's results: barriers, and the first copies of weights. All threads.
  DEVICE void start() const {
    if (is_producer() && lane == 0) {
      tensor_map_prefetch(x);
      for (int stage = 0; stage < Config::kStages; stage++) {
        mbarrier_init(full(stage), 1);
        mbarrier_init(empty(stage), Shape::kProducer * Shape::kWriters);
      }
      mbarrier_init_fence();
      async_proxy_fence();
      if constexpr (Config::kClusterRows == 1) {
        for (int i = 0; i < Config::kStages && first_chunk() + i < end_chunk(); i++) fill_weights(i, first_chunk() + i);
      }
    }
    // Others copy to this block's ring and arrive at its barriers only after it has come here.
    if constexpr (Shape::kWriters > 1) {
      __syncwarp();
      cluster_arrive_relaxed();
    }
  }
  DEVICE void wait_start() const {
    if constexpr (Shape::kWriters > 1) {
      cluster_wait();
    } else {
      __syncthreads();
    }
  }

  // One lane of the producer.
  DEVICE void produce() const {
    int stage = 0;
    u32 parity = 1;
    bool is_first_round = true;
    for (int chunk = first_chunk(); chunk < end_chunk(); chunk++) {
      if (!is_first_round) mbarrier_wait(empty(stage), parity);
      if (!is_first_round || Config::kClusterRows > 1) fill_weights(stage, chunk);
      fill_rows(stage, chunk);
      if (++stage == Config::kStages) {
        stage = 0;
        parity ^= 1;
        is_first_round = false;
      }
    }
  }

  // The stage may be filled again, says this warp to all that fill it.
  DEVICE void release(int stage) const {
    __syncwarp();
    if constexpr (Shape::kWriters == 1) {
      if (lane == 0) mbarrier_arrive(empty(stage));
    } else if (lane < Config::kClusterOutputs) {
      mbarrier_arrive_cluster(empty(stage), rank_of(place_in_rows(), lane));
    } else if (lane < Shape::kWriters) {
      const int other = lane - Config::kClusterOutputs;
      mbarrier_arrive_cluster(empty(stage), rank_of(other + (other >= place_in_rows() ? 1 : 0), place_in_outputs()));
    }
  }

  DEVICE void multiply(int stage, int chunk, Accumulators& sums) const {
    u32 a[Shape::kM][Shape::kChunkTiles][4];
#pragma unroll
    for (int m = 0; m < Shape::kM; m++) {
      const u32 tiles = weights_at(stage) + tile_of(m) * Shape::kChunkTiles * 512 + lane * 16;
#pragma unroll
      for (int k = 0; k < Shape::kChunkTiles; k++) {
        if (is_there(m) && (Config::kWhole || k < tiles_of(chunk))) {
          load_shared_4(a[m][k], tiles + k * 512);
        } else {
          a[m][k][0] = a[m][k][1] = a[m][k][2] = a[m][k][3] = 0;
        }
      }
    }
    // Eight rows are a pattern of 1024 bytes; 16 inputs further is 32 bytes further in it.
    const u64 rows = wgmma_descriptor(rows_at(stage), 16, 8 * Shape::kRowBytes, 1);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < Shape::kChunkTiles; k++) {
#pragma unroll
      for (int m = 0; m < Shape::kM; m++) wgmma_k16(weights.at[0], sums[m], a[m][k], rows + 2 * k);
    }
    wgmma_commit();
    wgmma_wait<0>();
#pragma unroll
    for (int m = 0; m < Shape::kM; m++) wgmma_settle(sums[m]);
  }

  // The warps that multiply: the products of the block's parts, each summed from zero in ascending
  // inputs, then added up in ascending order.
  DEVICE void consume(Accumulators& sums) const {
    int stage = 0;
    u32 parity = 0;
    Accumulators part_sums;
    // A sum of products that began with zero is never -0: adding the first part to zero is exact.
    if constexpr (Shape::kBlockParts > 1) clear_sums(sums);
#pragma unroll 1
    for (int part = 0; part < Shape::kBlockParts; part++) {
      Accumulators& accumulators = Shape::kBlockParts == 1 ? sums : part_sums;
      clear_sums(accumulators);
#pragma unroll 1
      for (int chunk = Shape::part_start(first_part + part); chunk < Shape::part_start(first_part + part + 1); chunk++) {
        mbarrier_wait(full(stage), parity);
        multiply(stage, chunk, accumulators);
        release(stage);
        if (++stage == Config::kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
      if constexpr (Shape::kBlockParts > 1) {
#pragma unroll
        for (int m = 0; m < Shape::kM; m++) {
#pragma unroll
          for (int n = 0; n < Shape::kN; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) sums[m][n][i] += part_sums[m][n][i];
          }
        }
      }
    }
  }
};
