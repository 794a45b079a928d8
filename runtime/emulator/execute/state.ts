/** The state of a launch: blocks, warps and the barriers between them. */
import type { Index3 } from "../../driver/instrumented-driver.ts";
import type { LaunchConfig } from "../../driver/driver.ts";
import { HEADER } from "../layout.ts";
import type { Kernel } from "./kernel.ts";

export class WarpState {
  /** Index in its block. */
  readonly index: number;
  /** Linear address of the header and register rows. */
  readonly base: number;
  readonly initialMask: number;
  status: "ready" | "waiting" | "done" = "ready";
  /** Gave way since something last changed for its block. */
  yielded = false;
  /** Found an mbarrier incomplete in its last run. */
  waitFailed = false;
  /** Has executed griddepcontrol.wait. */
  dependencyWaited = false;
  /** Phase of the cluster barrier it arrived at; -1 before the first arrival. */
  clusterPhase = -1;
  /** When it last synchronised with its block. */
  blockSync = 0;
  readonly #i32: Int32Array;

  constructor(i32: Int32Array, index: number, base: number, initialMask: number) {
    this.#i32 = i32;
    this.index = index;
    this.base = base;
    this.initialMask = initialMask;
    this.warpSync = 0;
  }

  /** When it last synchronised with its own lanes: kept in memory, where kernels count on. */
  get warpSync(): number {
    return this.#i32[(this.base + HEADER.warpSync) >> 2] ?? 0;
  }

  set warpSync(time: number) {
    this.#i32[(this.base + HEADER.warpSync) >> 2] = time;
  }
}

export interface BarrierState {
  /** Threads that have arrived, in whole warps. */
  arrived: number;
  /** Threads it waits for; 0 for all of the block. */
  expected: number;
  readonly waiting: { readonly warp: WarpState; readonly block: number }[];
  /** Of a reduction: and, or and count of the predicates so far. */
  and: boolean;
  or: boolean;
  count: number;
}

export interface BlockState {
  /** blockIdx. */
  readonly index: Index3;
  /** Number in launch order of x, y, z. */
  readonly linear: number;
  readonly slot: number;
  readonly sharedBase: number;
  readonly sharedBytes: number;
  readonly localBase: number;
  readonly warps: readonly WarpState[];
  readonly barriers: Map<number, BarrierState>;
  readonly cluster: ClusterState;
  /** Extras of asynchronous copies and the sanitiser hang on the block. */
  readonly extras: Map<object, unknown>;
  /** When it last learnt of what other blocks did, and when it last fenced its own writes. */
  gridSync: number;
  fenced: boolean;
}

export interface ClusterState {
  readonly blocks: BlockState[];
  /** Completed phases of `barrier.cluster`. */
  phase: number;
  arrived: number;
}

export interface LaunchState {
  readonly kernel: Kernel;
  readonly kernelName: string;
  readonly config: LaunchConfig;
  readonly sharedBytes: number;
  readonly warpsPerBlock: number;
  readonly threadsPerBlock: number;
  /** Counts launches of the machine, from 1. */
  readonly number: number;
  /** Barriers completed, copies landed: anything a waiting warp may have been waiting for. */
  events: number;
}

/** Data of `T` that belongs to a block, made on first use. */
export function blockExtra<T>(block: BlockState, key: object, make: () => T): T {
  let found = block.extras.get(key) as T | undefined;
  if (found === undefined) {
    found = make();
    block.extras.set(key, found);
  }
  return found;
}
