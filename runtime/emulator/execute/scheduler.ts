/** Runs the blocks of a launch: which warp goes next, and when nothing can go on. */
import { type CudaError, cudaError } from "../../driver/check.ts";
import { HEADER, LAUNCH, NEVER, PARAM_BASE, SLICE, STATUS, WARP } from "../layout.ts";
import { wgmmaEnds } from "../operations/wgmma.ts";
import { arriveAndWait, describeWaiting, warpEnded } from "./barriers.ts";
import type { Kernel } from "./kernel.ts";
import { KernelAbort, type Machine } from "./machine.ts";
import { Random } from "./random.ts";
import { type BlockState, type ClusterState, type LaunchState, WarpState } from "./state.ts";

/** Turns in a row in which every warp did nothing but wait before they wait for ever. */
const PATIENCE = 20_000;
/** Shared windows start at multiples of this, as swizzled layouts count on. */
const SHARED_ALIGN = 1024;

export interface LaunchOptions {
  readonly seed: number;
  /** Warp instructions the launch may execute. */
  readonly fuel: number;
}

/** Executes one launch to its end. Throws `CudaError` when the kernel cannot end. */
export function runLaunch(
  machine: Machine,
  launch: LaunchState,
  params: Uint8Array,
  options: LaunchOptions,
): void {
  new Scheduler(machine, launch, options).run(params);
}

class Scheduler {
  readonly #machine: Machine;
  readonly #launch: LaunchState;
  readonly #kernel: Kernel;
  readonly #random: Random;
  readonly #options: LaunchOptions;
  readonly #slotBytes: number;
  readonly #freeSlots: number[] = [];
  readonly #headers: Int32Array[] = [];
  #slots = 0;
  #fuelUsed = 0;
  #waitingTurns = 0;

  constructor(machine: Machine, launch: LaunchState, options: LaunchOptions) {
    this.#machine = machine;
    this.#launch = launch;
    this.#kernel = launch.kernel;
    this.#options = options;
    // Launches of one seed differ in their order, but not from run to run.
    this.#random = new Random(options.seed * 0x9e3779b1 + launch.number);
    const { warpBytes, localBytes } = launch.kernel.context;
    const warps = launch.warpsPerBlock * (warpBytes + WARP * localBytes);
    const shared = Math.ceil(launch.sharedBytes / SHARED_ALIGN) * SHARED_ALIGN;
    this.#slotBytes = Math.ceil(warps / SHARED_ALIGN) * SHARED_ALIGN + shared;
  }

  run(params: Uint8Array): void {
    this.#writeLaunch(params);
    const { grid, cluster = { x: 1, y: 1, z: 1 } } = this.#launch.config;
    const clusters: [number, number, number][] = [];
    for (let z = 0; z < grid.z; z += cluster.z) {
      for (let y = 0; y < grid.y; y += cluster.y) {
        for (let x = 0; x < grid.x; x += cluster.x) clusters.push([x, y, z]);
      }
    }
    if (this.#options.seed !== 0) this.#random.shuffle(clusters);
    let next = 0;
    const active: ClusterState[] = [];
    let idle = 0;
    let events = this.#launch.events;
    while (next < clusters.length || active.length > 0) {
      const canStart = next < clusters.length && this.#hasRoom(cluster.x * cluster.y * cluster.z);
      // Blocks that gave way have their turn again only after every other one had one.
      if (canStart && (active.length === 0 || idle > 0)) {
        const origin = clusters[next++];
        if (origin !== undefined) active.unshift(this.#start(origin));
      }
      const unit = active.shift();
      if (unit === undefined) throw new Error("a launch with blocks left has one to run");
      if (this.#runCluster(unit)) {
        this.#finish(unit);
        idle = 0;
        continue;
      }
      active.push(unit);
      idle++;
      const isStuck = idle > active.length && next >= clusters.length;
      if (isStuck && events === this.#launch.events && active.every(onlyWaits)) {
        this.#deadlock(unit);
      }
      if (idle > active.length) {
        idle = 1;
        events = this.#launch.events;
      }
      this.#checkFuel(unit);
    }
  }

  #hasRoom(blocks: number): boolean {
    const room = this.#machine.deviceBase - this.#machine.stateBase - 65536;
    const fits = Math.floor(room / this.#slotBytes);
    return this.#freeSlots.length + fits - this.#slots >= blocks;
  }

  #writeLaunch(params: Uint8Array): void {
    const { u32, u8, u64 } = this.#machine;
    const { grid, block, cluster = { x: 1, y: 1, z: 1 } } = this.#launch.config;
    const { context } = this.#kernel;
    const fields = [
      [LAUNCH.ntidX, block.x],
      [LAUNCH.ntidY, block.y],
      [LAUNCH.ntidZ, block.z],
      [LAUNCH.nctaidX, grid.x],
      [LAUNCH.nctaidY, grid.y],
      [LAUNCH.nctaidZ, grid.z],
      [LAUNCH.dynamicShared, this.#launch.sharedBytes - context.staticShared],
      [LAUNCH.totalShared, this.#launch.sharedBytes],
      [LAUNCH.clusterX, cluster.x],
      [LAUNCH.clusterY, cluster.y],
      [LAUNCH.clusterZ, cluster.z],
      [LAUNCH.clusterSize, cluster.x * cluster.y * cluster.z],
      [LAUNCH.nclusterX, grid.x / cluster.x],
      [LAUNCH.nclusterY, grid.y / cluster.y],
      [LAUNCH.nclusterZ, grid.z / cluster.z],
      [LAUNCH.gridId, this.#launch.number],
      [LAUNCH.warps, this.#launch.warpsPerBlock],
      [LAUNCH.explicitCluster, this.#launch.config.cluster === undefined ? 0 : 1],
    ] as const;
    for (const [at, value] of fields) u32[at >> 2] = value;
    u64[LAUNCH.clock >> 3] = 0n;
    u8.set(params, PARAM_BASE);
    const counters = this.#kernel.counters >> 3;
    u64.fill(0n, counters, counters + 2 * this.#kernel.blocks.length);
  }

  #start(origin: readonly [number, number, number]): ClusterState {
    const { cluster = { x: 1, y: 1, z: 1 }, grid } = this.#launch.config;
    const state: ClusterState = { blocks: [], phase: 0, arrived: 0 };
    for (let z = 0; z < cluster.z; z++) {
      for (let y = 0; y < cluster.y; y++) {
        for (let x = 0; x < cluster.x; x++) {
          const index = [origin[0] + x, origin[1] + y, origin[2] + z] as const;
          const linear = index[0] + grid.x * (index[1] + grid.y * index[2]);
          state.blocks.push(this.#startBlock(index, linear, state));
        }
      }
    }
    // The table of shared windows lies in the first block's slot.
    const { u32, i32 } = this.#machine;
    const table = this.#tableOf(state);
    for (const [rank, block] of state.blocks.entries()) {
      u32[(table >> 2) + rank] = block.sharedBase;
      for (const warp of block.warps) {
        const header = warp.base >> 2;
        i32[header + HEADER.clusterTable / 4] = table;
        i32[header + HEADER.clusterRank / 4] = rank;
        i32[header + HEADER.clusterCtaX / 4] = rank % cluster.x;
        i32[header + HEADER.clusterCtaY / 4] = Math.floor(rank / cluster.x) % cluster.y;
        i32[header + HEADER.clusterCtaZ / 4] = Math.floor(rank / (cluster.x * cluster.y));
        i32[header + HEADER.clusterIdX / 4] = Math.floor(block.index[0] / cluster.x);
        i32[header + HEADER.clusterIdY / 4] = Math.floor(block.index[1] / cluster.y);
        i32[header + HEADER.clusterIdZ / 4] = Math.floor(block.index[2] / cluster.z);
      }
    }
    return state;
  }

  /** The last 64 KiB of the state area hold one table of 16 windows per slot. */
  #tableOf({ blocks }: ClusterState): number {
    const slot = blocks[0]?.slot ?? 0;
    return this.#machine.deviceBase - 65536 + 64 * (slot % 1024);
  }

  #startBlock(
    index: readonly [number, number, number],
    linear: number,
    cluster: ClusterState,
  ): BlockState {
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    const base = this.#machine.stateBase + slot * this.#slotBytes;
    const { warpBytes, localBytes } = this.#kernel.context;
    const count = this.#launch.warpsPerBlock;
    const localBase = base + count * warpBytes;
    const shared = Math.ceil(this.#launch.sharedBytes / SHARED_ALIGN) * SHARED_ALIGN;
    const block: BlockState = {
      index,
      linear,
      slot,
      sharedBase: base + this.#slotBytes - shared,
      sharedBytes: this.#launch.sharedBytes,
      localBase,
      warps: Array.from({ length: count }, (_, at) => {
        const mask = initialMask(this.#launch.threadsPerBlock - at * WARP);
        return new WarpState(this.#machine.i32, at, base + at * warpBytes, mask);
      }),
      barriers: new Map(),
      cluster,
      extras: new Map(),
      gridSync: 0,
      fenced: false,
    };
    for (const warp of block.warps) {
      this.#writeHeader(block, warp, localBase + warp.index * WARP * localBytes);
    }
    this.#machine.sanitizer?.blockBegins(this.#launch, block);
    return block;
  }

  #writeHeader(block: BlockState, warp: WarpState, localBase: number): void {
    const { i32 } = this.#machine;
    const header = warp.base >> 2;
    i32.set(this.#headerOf(warp), header);
    i32[header + HEADER.stack / 4] = warp.base + HEADER.stackBase;
    i32[header + HEADER.sharedBase / 4] = block.sharedBase;
    i32[header + HEADER.localBase / 4] = localBase;
    i32[header + HEADER.ctaidX / 4] = block.index[0];
    i32[header + HEADER.ctaidY / 4] = block.index[1];
    i32[header + HEADER.ctaidZ / 4] = block.index[2];
    i32[header + HEADER.slot / 4] = block.slot;
  }

  /** What the headers of all blocks' warps of this index have in common. */
  #headerOf({ index, initialMask }: WarpState): Int32Array {
    let header = this.#headers[index];
    if (header !== undefined) return header;
    header = new Int32Array(HEADER.stackBase / 4);
    this.#headers[index] = header;
    header[HEADER.mask / 4] = initialMask;
    header[HEADER.reconvergence / 4] = NEVER;
    header[HEADER.warpInBlock / 4] = index;
    header[HEADER.initialMask / 4] = initialMask;
    const { x, y } = this.#launch.config.block;
    for (let lane = 0; lane < WARP; lane++) {
      const thread = index * WARP + lane;
      header[HEADER.maskRow / 4 + lane] = (initialMask >>> lane) & 1 ? -1 : 0;
      header[HEADER.tidX / 4 + lane] = thread % x;
      header[HEADER.tidY / 4 + lane] = Math.floor(thread / x) % y;
      header[HEADER.tidZ / 4 + lane] = Math.floor(thread / (x * y));
    }
    return header;
  }

  #finish(unit: ClusterState): void {
    for (const block of unit.blocks) {
      this.#machine.sanitizer?.blockEnds(this.#launch, block);
      this.#freeSlots.push(block.slot);
    }
  }

  /** Runs the warps of a cluster until all have ended (true) or all have given way (false). */
  #runCluster(unit: ClusterState): boolean {
    const isReady = ({ status, yielded }: WarpState): boolean => status === "ready" && !yielded;
    const warps = unit.blocks.flatMap((block) => block.warps.map((warp) => ({ block, warp })));
    for (const { warp } of warps) warp.yielded = false;
    for (;;) {
      let chosen: (typeof warps)[number] | undefined;
      if (this.#options.seed === 0) chosen = warps.find(({ warp }) => isReady(warp));
      else {
        const ready = warps.filter(({ warp }) => isReady(warp));
        if (ready.length > 0) chosen = ready[this.#random.below(ready.length)];
      }
      if (chosen === undefined) {
        if (warps.every(({ warp }) => warp.status === "done")) return true;
        if (warps.some(({ warp }) => warp.status === "ready")) return false;
        this.#deadlock(unit);
      }
      this.#runWarp(chosen.block, chosen.warp);
    }
  }

  #runWarp(block: BlockState, warp: WarpState): void {
    const machine = this.#machine;
    const { i32 } = machine;
    i32[(warp.base + HEADER.fuel) >> 2] = SLICE;
    this.#waitingTurns++;
    warp.waitFailed = false;
    machine.current = { launch: this.#launch, block, warp };
    machine.sanitizer?.warpRuns();
    try {
      const status = this.#kernel.run(warp.base);
      switch (status) {
        case STATUS.done:
          this.#waitingTurns = 0;
          warp.status = "done";
          wgmmaEnds(machine);
          machine.sanitizer?.released();
          warpEnded(machine, this.#kernel, block);
          break;
        case STATUS.barrier:
          this.#waitingTurns = 0;
          arriveAndWait(machine, this.#kernel, warp);
          break;
        case STATUS.spinning:
          warp.yielded = true;
          break;
        case STATUS.yielded:
          this.#waitingTurns = 0;
          warp.yielded = true;
          this.#fuelUsed += SLICE - (i32[(warp.base + HEADER.fuel) >> 2] ?? 0);
          break;
        default:
          throw new KernelAbort("unsupported", "branches diverge deeper than the emulator follows");
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      machine.current = undefined;
    }
  }

  #failure(error: unknown): unknown {
    const call = `kernel ${this.#launch.kernelName}`;
    if (error instanceof KernelAbort) return abortError(error, call);
    if (error instanceof WebAssembly.RuntimeError) {
      return cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", call, error.message);
    }
    return error;
  }

  #checkFuel(unit: ClusterState): void {
    const warps = this.#launch.warpsPerBlock * this.#slots;
    const isWaiting = this.#waitingTurns > PATIENCE + 100 * warps;
    if (this.#fuelUsed <= this.#options.fuel && !isWaiting) return;
    const block = unit.blocks[0];
    const warp = block?.warps.find(({ status }) => status === "ready");
    const message = isWaiting
      ? "the kernel was stopped: all that runs waits in loops for memory to change, and nothing changes it"
      : `the kernel was stopped after ${this.#options.fuel} warp instructions of loops`;
    this.#reportAt("fuel", message, block, warp);
    throw cudaError("CUDA_ERROR_LAUNCH_TIMEOUT", `kernel ${this.#launch.kernelName}`, message);
  }

  #deadlock(unit: ClusterState): never {
    const stuck =
      unit.blocks.find((block) => block.warps.some((w) => w.status === "waiting")) ??
      unit.blocks[0];
    const { message, instruction, warp } =
      stuck === undefined
        ? { message: "", instruction: undefined, warp: undefined }
        : describeWaiting(this.#kernel, stuck);
    const what = `no warp of the block can go on: ${message || "all wait for an mbarrier that nobody completes"}`;
    this.#reportAt(
      "deadlock",
      what,
      stuck,
      warp ?? stuck?.warps.find(({ status }) => status !== "done"),
      instruction,
    );
    throw cudaError("CUDA_ERROR_LAUNCH_TIMEOUT", `kernel ${this.#launch.kernelName}`, what);
  }

  /** A finding at the place a warp is at: its block's first instruction, unless one is given. */
  #reportAt(
    kind: "fuel" | "deadlock",
    message: string,
    block: BlockState | undefined,
    warp: WarpState | undefined,
    at?: Kernel["fn"]["instructions"][number],
  ): void {
    const machine = this.#machine;
    const pc = warp === undefined ? 0 : (machine.i32[(warp.base + HEADER.pc) >> 2] ?? 0);
    const instruction =
      at ?? this.#kernel.blocks[pc]?.instructions[0] ?? this.#kernel.fn.instructions[0];
    if (block === undefined || warp === undefined || instruction === undefined) return;
    machine.current = { launch: this.#launch, block, warp };
    machine.report(kind, message, instruction, -1);
    machine.current = undefined;
  }
}

/** All ready warps of the cluster found an mbarrier incomplete when they last ran. */
function onlyWaits(unit: ClusterState): boolean {
  const warps = unit.blocks.flatMap((block) => block.warps);
  return warps.every((warp) => warp.status !== "ready" || warp.waitFailed);
}

function initialMask(threads: number): number {
  if (threads >= WARP) return -1;
  return threads <= 0 ? 0 : (1 << threads) - 1;
}

function abortError(error: KernelAbort, call: string): CudaError {
  switch (error.kind) {
    case "out-of-bounds":
    case "use-after-free":
      return cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", call, error.message);
    case "misaligned":
      return cudaError("CUDA_ERROR_MISALIGNED_ADDRESS", call, error.message);
    default:
      return cudaError("CUDA_ERROR_LAUNCH_FAILED", call, error.message);
  }
}
