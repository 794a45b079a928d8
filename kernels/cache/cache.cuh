// Rows of caches: storing new ones, and moving the accepted ones of a tree down.
#pragma once
#include "prelude/types.cuh"

// `value(i)` for each element of rows of kRowSize, stored from slot `start` on. A thread per element.
template <int kRowSize, typename T, typename Value>
DEVICE void cache_write(T* cache, int start, int elements, Value value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < elements) cache[static_cast<size_t>(start) * kRowSize + i] = value(i);
}

// Slot length + i takes what slot length + path[i] held, i < count, in every cache of a table.
// kRowUnits: units of type Unit in a row. A thread owns one unit of the rows of one cache, so that
// nobody else touches what it moves; `thread` counts over the caches of the table.
// Paths ascend and path[i] >= i: of kBatch rows all are read before one is written, and no later
// row has been written by then.
template <int kRowUnits, int kPathLength, typename Unit, int kCaches, typename Path>
DEVICE void cache_commit(const Table<Unit, kCaches>& caches, int thread, Path path, int count, int length) {
  constexpr int kBatch = kPathLength < 8 ? kPathLength : 8;
  if (thread >= kCaches * kRowUnits) return;
  Unit* first = caches.at[thread / kRowUnits] + static_cast<size_t>(length) * kRowUnits + thread % kRowUnits;
  for (int base = 0; base < min(count, kPathLength); base += kBatch) {
    Unit rows[kBatch];
    int from[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
      const int to = base + i;
      from[i] = to < count && to < kPathLength ? path(to) : to;
      if (from[i] != to) rows[i] = first[static_cast<size_t>(from[i]) * kRowUnits];
    }
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
      if (from[i] != base + i) first[static_cast<size_t>(base + i) * kRowUnits] = rows[i];
    }
  }
}
