import type { ProgramCompiler, Target, Tuning } from "../../src/ir/program.ts";
import type { CudaDriver } from "../driver/driver.ts";
import type { EmulatorOptions } from "../driver/instrumented-driver.ts";
import type { Executor, LoadedWeights, ParameterSource } from "../executor.ts";
import type { KernelCache } from "../nvrtc/cache.ts";
import type { Nvrtc } from "../nvrtc/nvrtc.ts";
import { CudaDevice, type DeviceIdentity, disposed } from "./device.ts";
import { type HeaderLookup, KernelModules } from "./modules.ts";
import { CudaSession, type SessionMemoryUse } from "./session.ts";
import { DeviceWeights, type UploadSettings, usualUpload } from "./weights.ts";

export interface CudaOptions {
  /** A driver that is open already is used as it is and not closed. */
  readonly driver: "cuda" | "emulator" | CudaDriver;
  /** Which of the driver's devices; 0 by default. */
  readonly ordinal?: number | undefined;
  /** Makes the programs of graphs. */
  readonly compiler: ProgramCompiler;
  /** The texts a kernel includes. */
  readonly headers: HeaderLookup;
  readonly activations: Target["activations"];
  /** Where compiled kernels are kept between processes; nowhere by default. */
  readonly cache?: KernelCache | undefined;
  readonly nvrtc?: Nvrtc | undefined;
  readonly emulator?: EmulatorOptions | undefined;
  readonly upload?: UploadSettings | undefined;
  /** Configurations of kernels that a device runs fastest; without, the usual ones. */
  readonly tuning?: ((device: DeviceIdentity) => Tuning | undefined) | undefined;
  /**
   * Programmatic dependent launch: a kernel's blocks begin, and fetch weights, before the kernel
   * ahead has ended. True by default, from compute capability 9.0 on; false is for comparisons.
   */
  readonly overlapLaunches?: boolean | undefined;
  /**
   * Runs that repeat on the device before the host launches again: 64 by default, 4 on the emulator,
   * never more than the output ring has slots. 1 for a launch each.
   */
  readonly loopRuns?: number | undefined;
  /**
   * Hopper's products of warpgroups (`wgmma`) where device and compiler have them; true by default.
   * Without, layers are those of compute capability 8.0 and may differ from the others in last bits.
   */
  readonly warpgroups?: boolean | undefined;
}

/** Bytes an executor takes, by what for. All on the device but `ring`. */
export interface MemoryUse extends SessionMemoryUse {
  readonly weights: number;
  /** Images of loaded kernels. */
  readonly kernels: number;
}

/** Runs graphs as CUDA kernels, on a GPU or on the emulator. */
export class CudaExecutor implements Executor {
  readonly device: string;
  readonly #options: CudaOptions;
  readonly #device: CudaDevice;
  readonly #modules: KernelModules;
  readonly #loaded = new Set<CudaWeights>();
  readonly #loading = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #disposing: Promise<void> | undefined;

  private constructor(device: CudaDevice, options: CudaOptions) {
    this.device = device.name;
    this.#device = device;
    this.#options = options;
    this.#modules = new KernelModules(device, options.headers, options.cache);
  }

  /**
   * @throws HydrantError `cuda/no-driver`, `cuda/no-device`, `cuda/invalid-device`,
   *   `cuda/device-too-old`, `nvrtc/not-found`
   */
  static async create(options: CudaOptions): Promise<CudaExecutor> {
    return new CudaExecutor(await CudaDevice.open(options), options);
  }

  /** What kernels are compiled for. */
  get target(): Target {
    return this.#device.target;
  }

  /** Kernels NVRTC has compiled, and kernels found in the cache. */
  get compiled(): { readonly compiled: number; readonly fromCache: number } {
    return this.#modules.counts;
  }

  memory(): MemoryUse {
    const loaded = [...this.#loaded];
    const sessions = loaded.flatMap(({ sessions: all }) => [...all].map((one) => one.memory()));
    const sum = (use: keyof SessionMemoryUse) =>
      sessions.reduce((total, session) => total + session[use], 0);
    return {
      weights: loaded.reduce((total, { byteLength }) => total + byteLength, 0),
      kernels: this.#modules.bytes,
      states: sum("states"),
      arena: sum("arena"),
      programs: sum("programs"),
      ring: sum("ring"),
    };
  }

  load(source: ParameterSource, signal?: AbortSignal): Promise<CudaWeights> {
    const loading = this.#load(source, signal);
    const settled = loading
      .catch(() => {})
      .finally(() => {
        this.#loading.delete(settled);
      });
    this.#loading.add(settled);
    return loading;
  }

  dispose(): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    this.#closing.abort(disposed("executor"));
    await Promise.all(this.#loading);
    for (const loaded of [...this.#loaded]) await loaded.dispose();
    this.#device.release(() => this.#device.enter());
    this.#modules.dispose();
    this.#device.close();
  }

  async #load(source: ParameterSource, signal: AbortSignal | undefined): Promise<CudaWeights> {
    const device = this.#device;
    const { compiler, upload = usualUpload } = this.#options;
    const either = AbortSignal.any([
      this.#closing.signal,
      ...(signal === undefined ? [] : [signal]),
    ]);
    try {
      device.enter();
      const weights = await DeviceWeights.load(
        device,
        this.#modules,
        compiler,
        source,
        upload,
        either,
      );
      const loaded = new CudaWeights(device, this.#modules, compiler, weights, () =>
        this.#loaded.delete(loaded),
      );
      this.#loaded.add(loaded);
      return loaded;
    } catch (error) {
      throw device.explain(error, "load");
    }
  }
}

/** Weights on a device, and the sessions that use them. */
export class CudaWeights implements LoadedWeights {
  readonly byteLength: number;
  readonly sessions = new Set<CudaSession>();
  readonly #device: CudaDevice;
  readonly #modules: KernelModules;
  readonly #compiler: ProgramCompiler;
  readonly #weights: DeviceWeights;
  readonly #onDispose: () => void;
  #isDisposed = false;

  constructor(
    device: CudaDevice,
    modules: KernelModules,
    compiler: ProgramCompiler,
    weights: DeviceWeights,
    onDispose: () => void,
  ) {
    this.byteLength = weights.byteLength;
    this.#device = device;
    this.#modules = modules;
    this.#compiler = compiler;
    this.#weights = weights;
    this.#onDispose = onDispose;
  }

  session({ capacity }: { readonly capacity: number }): CudaSession {
    if (this.#isDisposed) throw disposed("weights");
    const session = new CudaSession({
      device: this.#device,
      modules: this.#modules,
      compiler: this.#compiler,
      weights: this.#weights,
      dims: { capacity },
      onDispose: () => this.sessions.delete(session),
    });
    this.sessions.add(session);
    return session;
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const session of [...this.sessions]) session.dispose();
    this.#device.release(() => this.#device.enter());
    this.#weights.dispose();
    this.#onDispose();
  }
}
