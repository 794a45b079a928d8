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
// drawn after makes the count 0.
template <typename Token, typename Parent>
DEVICE void walk_match(const int* draws, int nodes, Token token, Parent parent, const AcceptedPath& out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int length = 0;
  for (int node = 0; node < nodes && length < out.path_length;) {
    const int next = draws[node];
    if (next < 0) {
      length = 0;
      break;
    }
    if (lane == 0) {
      out.path[length] = node;
      out.following[length] = next;
    }
    length++;
    u32 matches = 0;
    int first = node + 1;
    for (; first < nodes; first += 32) {
      const int child = first + lane;
      matches = __ballot_sync(0xffffffffu, child < nodes && parent(child) == node && token(child) == next);
      if (matches != 0) break;
    }
    node = matches != 0 ? first + __ffs(static_cast<int>(matches)) - 1 : nodes;
  }
  out.finish(length);
}

// The longest path of passing nodes; among equals the one with the largest sum of gains, then the one
// met first going through the leaves from last to first. CAPACITY is at least `nodes`.
template <int CAPACITY, typename Token, typename Parent>
DEVICE void walk_typical(const int* draws, const double* gains, int nodes, Token token, Parent parent,
                         const AcceptedPath& out) {
  __shared__ double scores[CAPACITY];  // first a node's gain, then the sum from the root on
  __shared__ int parents[CAPACITY], nexts[CAPACITY];
  __shared__ int leaves[CAPACITY];   // the last leaf at or below the node
  __shared__ int lengths[CAPACITY];  // of the passing path that ends at the node, 0 where it fails
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
