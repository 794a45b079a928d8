// Tiles of keys and values in shared memory, and what tensor cores do with them.
#pragma once
#include "kernels/attention/partition.cuh"
#include "prelude/async-copy.cuh"
#include "prelude/convert.cuh"
#include "prelude/mma.cuh"

// What tensor cores take of either 16-bit type.
DEVICE void mma_16x8x16(bf16, float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  const u32 b[2] = {b0, b1};
  mma_m16n8k16_bf16(d, a, b);
}
DEVICE void mma_16x8x16(f16, float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  const u32 b[2] = {b0, b1};
  mma_m16n8k16_f16(d, a, b);
}
DEVICE u32 pack_pair(bf16, float low, float high) { return pack_bf16(low, high); }
DEVICE u32 pack_pair(f16, float low, float high) { return pack_f16(low, high); }
DEVICE void unpack_pair(bf16, u32 pair, float& low, float& high) {
  low = __uint_as_float(pair << 16);
  high = __uint_as_float(pair & 0xffff0000u);
}
DEVICE void unpack_pair(f16, u32 pair, float& low, float& high) {
  low = to_float(f16{static_cast<u16>(pair)});
  high = to_float(f16{static_cast<u16>(pair >> 16)});
}

// Rows in shared memory are 16 bytes longer than a head: an odd number of 16-byte units, so that
// eight rows below one another lie in different banks.
template <typename Config>
constexpr int kPitchBytes = Config::kHeadDim * 2 + 16;
template <typename Config>
constexpr int kTileBytes = kBlockKeys * kPitchBytes<Config>;

// Asks for kRows rows. source(i): the address of row i, nullptr for a row of zeros.
template <typename Config, int kRows, typename Source>
DEVICE void copy_rows(u32 tile, Source source) {
  constexpr int kChunks = Config::kHeadDim / 8;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunks; i += Config::kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    const typename Config::Element* from = source(row);
    cp_async_16(tile + row * kPitchBytes<Config> + chunk * 16, from + chunk * 8, from == nullptr ? 0 : 16);
  }
}

// A ring of tiles of kBlockKeys rows, filled kStages - 1 tiles ahead of their use. fill(tile) asks
// for the rows of the next tile there is, if there is one.
template <typename Config>
struct TileRing {
  u32 shared;
  int place = 0;
  DEVICE u32 tile(int ahead) const { return shared + (place + ahead) % Config::kStages * kTileBytes<Config>; }
  template <typename Fill>
  DEVICE void start(Fill& fill) {
    for (int i = 0; i < Config::kStages - 1; i++) {
      fill(tile(i));
      cp_async_commit();
    }
    place = Config::kStages - 1;
  }
  // The next tile, there for all threads; all have done with the one before it, whose place is used.
  template <typename Fill>
  DEVICE u32 next(Fill& fill) {
    cp_async_wait<Config::kStages - 2>();
    __syncthreads();
    const u32 free = tile(0);
    place = place + 1 == Config::kStages ? 0 : place + 1;
    fill(free);
    cp_async_commit();
    return tile(0);
  }
};

// 16 queries of a head in registers, as tensor cores take them. `rows` is where they lie in shared memory.
template <typename Config>
DEVICE void load_queries(u32 (&query)[Config::kHeadDim / 16][4], u32 rows) {
  const u32 lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < Config::kHeadDim / 16; k++)
    ldmatrix_x4(query[k], rows + lane % 16 * kPitchBytes<Config> + lane / 16 * 16 + k * 32);
}

// Products of 16 queries with the kKeys keys from `keys` on: score[n] is the D fragment of keys
// 8n … 8n + 7. Each is a sum over the head's elements that knows nothing of other queries or keys.
template <typename Config, int kKeys>
DEVICE void multiply_keys(float (&score)[kKeys / 8][4], const u32 (&query)[Config::kHeadDim / 16][4], u32 keys) {
  const u32 lane = threadIdx.x % 32;
  const u32 mine = keys + (lane / 16 * 8 + lane % 8) * kPitchBytes<Config> + lane / 8 % 2 * 16;
#pragma unroll
  for (int n = 0; n < kKeys / 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) score[n][i] = 0.0f;
#pragma unroll
  for (int k = 0; k < Config::kHeadDim / 16; k++) {
#pragma unroll
    for (int n = 0; n < kKeys / 16; n++) {
      u32 b[4];
      ldmatrix_x4(b, mine + n * 16 * kPitchBytes<Config> + k * 32);
      mma_16x8x16(typename Config::Element{}, score[2 * n], query[k], b[0], b[1]);
      mma_16x8x16(typename Config::Element{}, score[2 * n + 1], query[k], b[2], b[3]);
    }
  }
}
