import type { BlockState, ClusterState, LaunchState, WarpState } from "./state.ts";

/** What the sanitiser hears of a run, besides the accesses themselves. */
export interface RunObserver {
  blockBegins(launch: LaunchState, block: BlockState): void;
  blockEnds(launch: LaunchState, block: BlockState): void;
  /** Warps that a barrier of their block has just let go on. */
  barrierCompleted(block: BlockState, released: readonly WarpState[]): void;
  clusterCompleted(cluster: ClusterState): void;
  /** The lanes of the running warp have synchronised. */
  warpSynchronized(): void;
  /** The running warp has executed a fence of at least device scope. */
  fenced(): void;
  /** The running warp has made its memory visible to whoever waits for it. */
  released(): void;
}
