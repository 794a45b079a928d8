// Which keys a query sees, and how they are divided between blocks.
//
// The n-th key of the query at absolute position p is the token at position n, n <= p, wherever its
// slot is. Everything here depends on positions alone: a token gets the same sums in the same order
// as a row of a prompt, as a single row and as a node of a tree.
#pragma once
#include "prelude/types.cuh"

// Row i stands at position length + i and sees all slots up to its own.
struct CausalMask {
  int length;
  DEVICE int position(int row) const { return length + row; }
  DEVICE bool sees(int row, int slot) const { return slot <= length + row; }
  DEVICE int key_slot(int, int key) const { return key; }
  // One past the last slot that the row sees.
  DEVICE int end(int row) const { return length + row + 1; }
};

// Row i sees the slots below `length`, and slot length + j for every bit j of its words: itself and
// its ancestors, which have ascending indices. words(i * kWords + w) is a row's w-th word.
template <int kWords, typename Words>
struct TreeMask {
  int length;
  Words words;
  DEVICE int position(int row) const {
    int seen = 0;
    for (int w = 0; w < kWords; w++) seen += __popcll(words(row * kWords + w));
    return length + seen - 1;
  }
  DEVICE bool sees(int row, int slot) const {
    const int node = slot - length;
    if (node < 0) return true;
    return node < kWords * 64 && (words(row * kWords + node / 64) >> (node % 64) & 1) != 0;
  }
  DEVICE int key_slot(int row, int key) const {
    int skip = key - length;
    if (skip < 0) return key;
    for (int w = 0; w < kWords; w++) {
      u64 word = words(row * kWords + w);
      const int seen = __popcll(word);
      if (skip < seen) {
        for (; skip > 0; skip--) word &= word - 1;
        return length + w * 64 + __ffsll(static_cast<i64>(word)) - 1;
      }
      skip -= seen;
    }
    return key;
  }
  DEVICE int end(int row) const {
    for (int w = kWords - 1; w >= 0; w--) {
      const u64 word = words(row * kWords + w);
      if (word != 0) return length + w * 64 + 64 - __clzll(static_cast<i64>(word));
    }
    return length;
  }
};
template <int kWords, typename Words>
DEVICE TreeMask<kWords, Words> tree_mask(int length, Words words) {
  return {length, words};
}

constexpr int kBlockKeys = 64;

// Splits are runs of key blocks, each reduced on its own: Config::kShortSplits of kShortBlocks blocks
// first, then as many of kLongBlocks as it takes, so that long contexts do not drown in partial
// results. Never a number of splits that follows from the context's length.
template <typename Config>
DEVICE int split_begin(int split) {
  return split <= Config::kShortSplits
             ? split * Config::kShortBlocks
             : Config::kShortSplits * Config::kShortBlocks + (split - Config::kShortSplits) * Config::kLongBlocks;
}
// Splits that `blocks` key blocks touch.
template <typename Config>
DEVICE int splits_of(int blocks) {
  const int beyond = blocks - Config::kShortSplits * Config::kShortBlocks;
  return beyond <= 0 ? (blocks + Config::kShortBlocks - 1) / Config::kShortBlocks
                     : Config::kShortSplits + (beyond + Config::kLongBlocks - 1) / Config::kLongBlocks;
}
