/** The emulated device below streams: memory, modules, kernels run to their end, copies done. */
import { CudaError, cudaError } from "../../driver/check.ts";
import type { DevicePtr, KernelLaunch } from "../../driver/driver.ts";
import type { EmulatorOptions, KernelCounters } from "../../driver/instrumented-driver.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { Counters } from "../execute/counters.ts";
import { Findings, hostFinding } from "../execute/findings.ts";
import { type Kernel, loadKernel } from "../execute/kernel.ts";
import { Machine } from "../execute/machine.ts";
import { runLaunch } from "../execute/scheduler.ts";
import { PARAM_BYTES, tagged, WARP } from "../layout.ts";
import type { OtherWork } from "../sanitizer/races.ts";
import { Sanitizer } from "../sanitizer/sanitizer.ts";
import { type Allocation, DeviceMemory, linearOf } from "./device-memory.ts";
import { type FunctionData, type ModuleData, readImage } from "./loaded-module.ts";
import type { Work } from "./work-queue.ts";

const DEFAULT_MEMORY = 2 ** 30;
const DEFAULT_FUEL = 1_000_000_000;
export const STATIC_SHARED_LIMIT = 49152;

/** Most shared memory a block may have, by compute capability. */
export const SHARED_LIMIT = { "8.0": 166912, "9.0": 232448 } as const;

export class EmulatedDevice {
  readonly findings = new Findings();
  readonly machine: Machine;
  readonly memory: DeviceMemory;
  readonly counters: Counters;
  readonly sanitizer: Sanitizer | undefined;
  readonly capability: "8.0" | "9.0";
  readonly #options: EmulatorOptions;
  /** Values of the conditions of graphs, set by kernels and read by conditional nodes. */
  readonly conditions = new Map<bigint, number>();
  #launches = 0;
  #fault: CudaError | undefined;

  constructor(options: EmulatorOptions) {
    this.#options = options;
    this.capability = options.computeCapability ?? "8.0";
    const bytes = options.memoryBytes ?? DEFAULT_MEMORY;
    this.machine = new Machine(bytes, this.findings, options.sanitizer ?? true);
    this.memory = new DeviceMemory({
      begin: this.machine.deviceBase,
      end: this.machine.end,
      quarantine: options.sanitizer ?? true,
    });
    this.counters = new Counters();
    if (options.sanitizer ?? true) {
      this.sanitizer = new Sanitizer(this.machine, this.memory, this.counters);
      this.machine.sanitizer = this.sanitizer;
    }
    this.machine.setCondition = (handle, value) => this.conditions.set(handle, value);
  }

  /** True when a kernel has lost the context. */
  get isLost(): boolean {
    return this.#fault !== undefined;
  }

  /** Throws what a bad kernel left behind, as every call on a lost context does. */
  checkAlive(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  allocate(bytes: number, kind: Allocation["kind"], call: string, name?: string): Allocation {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) {
      throw cudaError("CUDA_ERROR_INVALID_VALUE", call, `${bytes} bytes`);
    }
    const allocation = this.memory.allocate(bytes, kind, name);
    if (allocation === undefined) {
      const { free, total } = this.memory;
      throw cudaError(
        "CUDA_ERROR_OUT_OF_MEMORY",
        call,
        `${bytes} bytes asked for, ${free} of ${total} free`,
      );
    }
    this.sanitizer?.allocated(allocation);
    return allocation;
  }

  /** Linear address of `bytes` bytes that must lie in one live allocation. */
  range(ptr: DevicePtr, bytes: number, call: string): number {
    const linear = linearOf(ptr);
    const allocation = linear === undefined ? undefined : this.memory.at(linear);
    if (
      linear === undefined ||
      allocation === undefined ||
      allocation.freed ||
      linear + bytes > allocation.base + allocation.bytes
    ) {
      const why =
        allocation === undefined
          ? "no allocation there"
          : allocation.freed
            ? `allocation ${allocation.number} was freed`
            : `allocation ${allocation.number} of ${allocation.bytes} bytes ends before`;
      this.#reportHost(allocation?.freed ? "use-after-free" : "out-of-bounds", `${call}: ${why}`);
      throw cudaError(
        "CUDA_ERROR_INVALID_VALUE",
        call,
        `${bytes} bytes at 0x${ptr.toString(16)}: ${why}`,
      );
    }
    return linear;
  }

  #reportHost(kind: "use-after-free" | "out-of-bounds", message: string): void {
    this.findings.add(hostFinding(kind, message));
  }

  loadModule(image: Uint8Array, handle: number): ModuleData {
    const capability = this.capability === "9.0" ? 90 : 80;
    const ptx = readImage(image, capability);
    const variables = new Map<string, Allocation>();
    for (const variable of ptx.variables.values()) {
      if (variable.space !== "global" && variable.space !== "const") continue;
      const bytes = Math.max(variable.size, 1);
      const place = this.allocate(bytes, "variable", "cuModuleLoadData", variable.name);
      this.machine.u8.fill(0, place.base, place.base + bytes);
      if (variable.init !== undefined) this.machine.u8.set(variable.init, place.base);
      this.sanitizer?.hostWrote(place.base, bytes, undefined);
      variables.set(variable.name, place);
    }
    return { handle, ptx, variables, functions: new Map(), unloaded: false };
  }

  unloadModule(module: ModuleData): void {
    module.unloaded = true;
    for (const variable of module.variables.values()) this.memory.release(variable);
  }

  /** Translates on first use: a module may hold kernels nobody launches. */
  kernelOf(fn: FunctionData): Kernel {
    if (fn.kernel !== undefined) return fn.kernel;
    const addresses = new Map<string, number>();
    for (const [name, { base }] of fn.module.variables) addresses.set(name, base);
    try {
      fn.kernel = loadKernel(
        this.machine,
        fn.module.ptx,
        fn.entry,
        addresses,
        this.sanitizer?.check,
      );
    } catch (error) {
      if (error instanceof HydrantError) {
        this.findings.add({
          kind: "unsupported",
          message: error.message,
          kernel: fn.entry.name,
          file: error.path?.replace(/:\d+$/, "") ?? null,
          line: Number(/:(\d+)$/.exec(error.path ?? "")?.[1] ?? Number.NaN) || null,
          ptxLine: null,
          block: null,
          thread: null,
        });
      }
      throw error;
    }
    return fn.kernel;
  }

  /** Checks a launch as the driver does, before anything is queued. */
  validate(fn: FunctionData, launch: KernelLaunch): void {
    const call = "cuLaunchKernel";
    const bad = (why: string): never => {
      throw cudaError("CUDA_ERROR_INVALID_VALUE", call, `${fn.entry.name}: ${why}`);
    };
    if (fn.module.unloaded) {
      throw cudaError("CUDA_ERROR_INVALID_HANDLE", call, "its module was unloaded");
    }
    const { grid, block, sharedBytes = 0, cluster } = launch;
    const limits = [
      [block.x, 1024, "block x"],
      [block.y, 1024, "block y"],
      [block.z, 64, "block z"],
      [grid.x, 2 ** 31 - 1, "grid x"],
      [grid.y, 65535, "grid y"],
      [grid.z, 65535, "grid z"],
    ] as const;
    for (const [value, most, what] of limits) {
      if (!Number.isInteger(value) || value < 1 || value > most) bad(`${what} is ${value}`);
    }
    const threads = block.x * block.y * block.z;
    if (threads > 1024) bad(`${threads} threads per block, 1024 are the most`);
    if (fn.entry.maxThreads !== undefined && threads > fn.entry.maxThreads) {
      bad(`${threads} threads per block, it was compiled for ${fn.entry.maxThreads}`);
    }
    const { staticShared } = this.kernelOf(fn).context;
    if (sharedBytes > fn.maxDynamicShared) {
      bad(`${sharedBytes} bytes of dynamic shared memory, ${fn.maxDynamicShared} are allowed`);
    }
    if (sharedBytes + staticShared > SHARED_LIMIT[this.capability]) {
      bad(`${sharedBytes + staticShared} bytes of shared memory`);
    }
    if (launch.args.bytes.length > PARAM_BYTES) bad("the arguments are too long");
    this.#checkCluster(fn, launch, cluster ?? clusterOf(fn));
    const last = fn.params.at(-1);
    const needed = last === undefined ? 0 : last.offset + last.size;
    if (launch.args.bytes.length < needed) {
      bad(`${launch.args.bytes.length} bytes of arguments, it takes ${needed}`);
    }
  }

  #checkCluster(fn: FunctionData, { grid }: KernelLaunch, cluster: KernelLaunch["cluster"]): void {
    if (cluster === undefined) return;
    const call = "cuLaunchKernelEx";
    if (this.capability !== "9.0") {
      throw cudaError("CUDA_ERROR_NOT_SUPPORTED", call, "clusters need compute capability 9.0");
    }
    const size = cluster.x * cluster.y * cluster.z;
    const most = fn.nonPortableCluster !== 0 ? 16 : 8;
    if (
      size > most ||
      grid.x % cluster.x !== 0 ||
      grid.y % cluster.y !== 0 ||
      grid.z % cluster.z !== 0
    ) {
      throw cudaError("CUDA_ERROR_INVALID_CLUSTER_SIZE", call, `${size} blocks`);
    }
  }

  /** Runs a validated launch to its end. A fault loses the context. */
  execute(fn: FunctionData, launch: KernelLaunch, work: Work, others: OtherWork): void {
    this.checkAlive();
    const kernel = this.kernelOf(fn);
    const { block, sharedBytes = 0 } = launch;
    const threadsPerBlock = block.x * block.y * block.z;
    const cluster = launch.cluster ?? clusterOf(fn);
    const state = {
      kernel,
      kernelName: fn.entry.name,
      config: cluster === undefined ? launch : { ...launch, cluster },
      sharedBytes: kernel.context.staticShared + sharedBytes,
      warpsPerBlock: Math.ceil(threadsPerBlock / WARP),
      threadsPerBlock,
      number: ++this.#launches,
      events: 0,
    };
    this.findings.nextLaunch();
    this.sanitizer?.launchBegins(state, work, others);
    try {
      runLaunch(this.machine, state, launch.args.bytes, {
        seed: this.#options.seed ?? 0,
        fuel: this.#options.fuel ?? DEFAULT_FUEL,
      });
      this.sanitizer?.launchEnds(state);
    } catch (error) {
      if (error instanceof CudaError && error.sticky) this.#fault = error;
      throw error;
    } finally {
      this.counters.addLaunch(this.machine, kernel);
    }
  }

  totals(): KernelCounters {
    return this.counters.totals();
  }

  pointer(allocation: Allocation): DevicePtr {
    return tagged(allocation.base) as DevicePtr;
  }
}

function clusterOf(fn: FunctionData): KernelLaunch["cluster"] {
  const fixed = fn.entry.cluster;
  return fixed === undefined ? undefined : { x: fixed[0], y: fixed[1], z: fixed[2] };
}
