// From the root down the tree, one warp: which nodes are accepted and which token follows each.
#pragma once
#include "prelude/types.cuh"

// path, following [path_length] and count [1], as the accept ops define them.
struct AcceptedPath {
  int path_length;
  int* path;
  int* count;
  int* following;

  // What comes after `length` entries is zeros.
  DEVICE void finish(int length) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    __syncwarp();
    for (int i = length + lane; i < path_length; i += 32) path[i] = following[i] = 0;
    if (lane == 0) *count = length;
  }
};

// Goes on with the first child that holds the token drawn after a node. A node that nothing could be
// drawn after makes the count 0. A block of THREADS calls it: all children are looked at at once, so
// that the walk itself waits for shared memory only, of which `work` is 2 * nodes.
template <int THREADS, typename Token, typename Parent>
DEVICE void walk_match(const int* draws, int nodes, Token token, Parent parent, const AcceptedPath& out, int* work) {
  int* const nexts = work;
  int* const children = work + nodes;  // the first that holds the token, or `nodes`
  for (int node = static_cast<int>(threadIdx.x); node < nodes; node += THREADS) {
    nexts[node] = draws[node];
    children[node] = nodes;
  }
  __syncthreads();
  for (int node = 1 + static_cast<int>(threadIdx.x); node < nodes; node += THREADS) {
    const int above = parent(node);
    if (above >= 0 && token(node) == nexts[above]) atomicMin(&children[above], node);
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  int length = 0;
  for (int node = 0; node < nodes && length < out.path_length; node = children[node]) {
    const int next = nexts[node];
    if (next < 0) {
      length = 0;
      break;
    }
    if (threadIdx.x == 0) {
      out.path[length] = node;
      out.following[length] = next;
    }
    length++;
  }
  out.finish(length);
}

template <int CAPACITY>
struct WalkShared {
  double scores[CAPACITY];  // first a node's gain, then the sum from the root on
  int tree[2 * CAPACITY];   // parents, then the token drawn after each node
  int leaves[CAPACITY];   // the last leaf at or below the node
  int lengths[CAPACITY];  // of the passing path that ends at the node, 0 where it fails
};

// The longest path of passing nodes; among equals the one with the largest sum of gains, then the one
// met first going through the leaves from last to first. CAPACITY is at least `nodes`.
template <int CAPACITY, typename Token, typename Parent>
DEVICE void walk_typical(const int* draws, const double* gains, int nodes, Token token, Parent parent,
                         const AcceptedPath& out, WalkShared<CAPACITY>& shared) {
  double* const scores = shared.scores;
  int* const parents = shared.tree;
  int* const nexts = shared.tree + CAPACITY;
  int* const leaves = shared.leaves;
  int* const lengths = shared.lengths;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int node = lane; node < nodes; node += 32) {
    parents[node] = parent(node);
    nexts[node] = draws[node];
    leaves[node] = node;
    scores[node] = node > 0 && parents[node] >= 0 ? gains[node] : 0.0;
  }
  __syncwarp();
  int length = 0;
  if (lane == 0) {
    for (int node = nodes - 1; node > 0; node--) {
      if (parents[node] >= 0) leaves[parents[node]] = max(leaves[parents[node]], leaves[node]);
    }
    int best = 0;
    for (int node = 0; node < nodes; node++) {
      const int above = parents[node];
      const bool passes = node == 0 || (above >= 0 && lengths[above] > 0 && scores[node] > -1e300);
      lengths[node] = passes ? (node == 0 ? 1 : lengths[above] + 1) : 0;
      if (!passes) continue;
      if (nexts[node] < 0) {
        best = -1;
        break;
      }
      if (node == 0) continue;
      scores[node] += scores[above];
      const bool is_better = lengths[node] != lengths[best]   ? lengths[node] > lengths[best]
                             : scores[node] != scores[best] ? scores[node] > scores[best]
                                                            : leaves[node] > leaves[best];
      if (is_better) best = node;
    }
    if (best >= 0) {
      length = min(lengths[best], out.path_length);
      int next = nexts[best];
      for (int node = best; node >= 0; node = parents[node]) {
        const int at = lengths[node] - 1;
        if (at < out.path_length) {
          out.path[at] = node;
          out.following[at] = next;
        }
        next = token(node);
      }
    }
  }
  out.finish(__shfl_sync(0xffffffffu, length, 0));
}
