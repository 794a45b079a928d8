import type { Instruction } from "../ptx/ptx.ts";
import type { BlockState, ClusterState, LaunchState, WarpState } from "./state.ts";

/** An access that an operation of the host makes for some lanes of the running warp. */
export interface OperationAccess {
  readonly instruction: Instruction;
  readonly kind: "read" | "write" | "atomic";
  readonly space: "global" | "shared";
  readonly lanes: number;
  /** By lane: linear addresses of global memory, addresses of the shared window. */
  readonly addresses: Float64Array;
  readonly bytes: number;
  /** Alignment asked for, when it is not `bytes`. */
  readonly align?: number;
}

/** What the sanitiser hears of a run. */
export interface RunObserver {
  blockBegins(launch: LaunchState, block: BlockState): void;
  blockEnds(launch: LaunchState, block: BlockState): void;
  /** Warps that a barrier of their block has just let go on. */
  barrierCompleted(block: BlockState, released: readonly WarpState[]): void;
  clusterCompleted(cluster: ClusterState): void;
  /** A warp gets its turn. */
  warpRuns(): void;
  /** The lanes of the running warp have synchronised. */
  warpSynchronized(): void;
  /** The running warp has executed a fence of at least device scope. */
  fenced(): void;
  /** Lanes of the running warp have executed a fence between the generic and the async proxy. */
  proxyFenced(lanes: number): void;
  /** The running warp begins to read asynchronously: the time, for `readEnds`. */
  readBegins(): number;
  /** It has waited for such a read of shared memory, which nobody may have written meanwhile. */
  readEnds(access: OperationAccess, since: number): void;
  /** The running warp has waited for the launches its own may overlap. */
  dependencyWaited(): void;
  /** The running warp has made its memory visible to whoever waits for it. */
  released(): void;
  /** The running warp has waited for something another thread released. */
  acquired(): void;
  access(access: OperationAccess): void;
  /** An asynchronous copy is to write (1) or has written (−1) bytes of a shared window. */
  pendingRange(block: BlockState, offset: number, bytes: number, change: 1 | -1): void;
  /** The same for the copies of some lanes. */
  pending(
    block: BlockState,
    lanes: number,
    offsets: Float64Array,
    bytes: number,
    change: 1 | -1,
  ): void;
}
