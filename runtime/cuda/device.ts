import type { Target, Tuning } from "../../src/ir/program.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { CudaError } from "../driver/check.ts";
import type { Context, CudaDriver, Device } from "../driver/driver.ts";
import type { EmulatorOptions } from "../driver/instrumented-driver.ts";
import { openDriver } from "../driver/open-driver.ts";
import { type Nvrtc, openNvrtc } from "../nvrtc/nvrtc.ts";
import { targetArch } from "../nvrtc/target-arch.ts";

export interface CudaDeviceOptions {
  /** A driver that is open already is used as it is and not closed. */
  readonly driver: "cuda" | "emulator" | CudaDriver;
  /** Which of the driver's devices; 0 by default. */
  readonly ordinal?: number | undefined;
  readonly emulator?: EmulatorOptions | undefined;
  readonly activations: Target["activations"];
  /** By default the best of this machine that the driver can load code of. */
  readonly nvrtc?: Nvrtc | undefined;
  /** As in `CudaOptions`. */
  readonly overlapLaunches?: boolean | undefined;
  /** As in `CudaOptions`. */
  readonly loopRuns?: number | undefined;
  /** As in `CudaOptions`. */
  readonly warpgroups?: boolean | undefined;
  /** As in `CudaOptions`. */
  readonly tuning?: ((device: DeviceIdentity) => Tuning | undefined) | undefined;
}

/** What a device is and how kernels are compiled for it: what measured times hold for. */
export interface DeviceIdentity {
  /** As the driver has it: `NVIDIA H200`. */
  readonly name: string;
  /** Major version of CUDA the driver is of. */
  readonly driverMajor: number;
  /** `13.0`. */
  readonly nvrtc: string;
  readonly arch: string;
  readonly multiprocessors: number;
}

/** What is known of a device without a context on it. */
export function identifyDevice(driver: CudaDriver, device: Device, nvrtc: Nvrtc): DeviceIdentity {
  const { major, minor } = nvrtc.version;
  return {
    name: driver.deviceName(device),
    driverMajor: Math.floor(driver.driverVersion() / 1000),
    nvrtc: `${major}.${minor}`,
    arch: targetArch(nvrtc, {
      major: driver.deviceAttribute(device, "computeCapabilityMajor"),
      minor: driver.deviceAttribute(device, "computeCapabilityMinor"),
    }),
    multiprocessors: driver.deviceAttribute(device, "multiprocessorCount"),
  };
}

/** Tensor cores take bf16 and copies run asynchronously from this compute capability on. */
const oldestCapability = 80;

/**
 * A device, its context and its compiler, and what became of them: a fault in a kernel takes the
 * context and everything in it, which every later call must learn as one clear error.
 */
export class CudaDevice {
  readonly driver: CudaDriver;
  readonly nvrtc: Nvrtc;
  /** For people: `cuda:0`, `emulator`. */
  readonly name: string;
  readonly identity: DeviceIdentity;
  readonly target: Target;
  /** Whether a launch may begin beside the one before it. */
  readonly overlapsLaunches: boolean;
  /** Runs a loop on the device makes at most. */
  readonly loopRuns: number;
  /** Whether runs can repeat without the host. */
  readonly hasLoops: boolean;
  readonly #device: Device;
  readonly #context: Context;
  readonly #isOwnDriver: boolean;
  #lost: HydrantError | undefined;
  #isClosed = false;

  /**
   * @throws HydrantError `cuda/no-driver`, `cuda/no-device`, `cuda/invalid-device`,
   *   `cuda/device-too-old`, `nvrtc/not-found`
   */
  static async open(options: CudaDeviceOptions): Promise<CudaDevice> {
    const isOwn = typeof options.driver === "string";
    const driver =
      typeof options.driver === "string"
        ? await openDriver(options.driver, options.emulator)
        : options.driver;
    try {
      return new CudaDevice(driver, isOwn, options);
    } catch (error) {
      if (isOwn) driver.close();
      throw error;
    }
  }

  private constructor(
    driver: CudaDriver,
    isOwnDriver: boolean,
    {
      ordinal = 0,
      activations,
      nvrtc,
      overlapLaunches = true,
      loopRuns,
      warpgroups = true,
      tuning,
    }: CudaDeviceOptions,
  ) {
    this.driver = driver;
    this.#isOwnDriver = isOwnDriver;
    this.#device = driver.deviceGet(ordinal);
    this.name = driver.kind === "emulator" ? "emulator" : `cuda:${ordinal}`;
    const own = {
      major: driver.deviceAttribute(this.#device, "computeCapabilityMajor"),
      minor: driver.deviceAttribute(this.#device, "computeCapabilityMinor"),
    };
    const capability = 10 * own.major + own.minor;
    if (capability < oldestCapability) {
      throw new HydrantError(
        "cuda/device-too-old",
        `${driver.deviceName(this.#device)} has compute capability ${own.major}.${own.minor}; 8.0 is the least the kernels run on.`,
        { path: this.name, hint: "Use another GPU or the CPU (--device cpu)." },
      );
    }
    // A driver loads no code of a newer major version than its own; the emulator reads PTX of any.
    const maxMajor = Math.floor(driver.driverVersion() / 1000);
    this.nvrtc = nvrtc ?? openNvrtc(driver.kind === "emulator" ? {} : { maxMajor });
    const identity = identifyDevice(driver, this.#device, this.nvrtc);
    this.identity = warpgroups ? identity : { ...identity, arch: identity.arch.replace(/a$/, "") };
    const { arch, multiprocessors } = this.identity;
    this.target = {
      capability,
      arch,
      nvrtcMajor: this.nvrtc.version.major,
      multiprocessors,
      activations,
      tuning: tuning?.(this.identity),
    };
    // Graphs keep such dependencies from CUDA 12.3 on.
    this.overlapsLaunches = overlapLaunches && capability >= 90 && driver.driverVersion() >= 12030;
    // The emulator makes all runs of a loop while the host waits for the first.
    this.loopRuns = loopRuns ?? (driver.kind === "emulator" ? 4 : 64);
    const { major, minor } = this.nvrtc.version;
    this.hasLoops =
      this.loopRuns > 1 &&
      driver.supports("conditional-nodes") &&
      driver.supports("capture-to-graph") &&
      // Older compilers do not know the function that sets a condition.
      100 * major + minor >= 1203;
    this.#context = driver.primaryContextRetain(this.#device);
    try {
      driver.contextSetCurrent(this.#context);
    } catch (error) {
      this.release(() => driver.primaryContextRelease(this.#device));
      throw error;
    }
  }

  /**
   * To be called before driver calls, and again after each await: another executor of this thread
   * may have made its own context current.
   * @throws HydrantError `cuda/device-lost`, `executor/disposed`
   */
  enter(): void {
    if (this.#isClosed) throw disposed("executor");
    if (this.#lost !== undefined) throw this.#lost;
    this.driver.contextSetCurrent(this.#context);
  }

  /**
   * What to throw for an error of a driver call: one that took the context with it becomes
   * `cuda/device-lost`, any other stays as it is.
   * @param path for people: the graph or tensor at work.
   */
  explain(error: unknown, path: string): unknown {
    if (this.#lost !== undefined) return error instanceof CudaError ? this.#lost : error;
    if (!(error instanceof CudaError && error.sticky)) return error;
    this.#lost = new HydrantError(
      "cuda/device-lost",
      `The device failed and took everything on it along: ${error.message}`,
      {
        path: `${this.name}/${path}`,
        hint: "The model and its sessions are unusable: dispose of the executor and load the model again; where the driver does not allow that, in a new process.",
        cause: error,
      },
    );
    return this.#lost;
  }

  /** As `explain`, around a few driver calls. */
  attempt<T>(path: string, work: () => T): T {
    try {
      this.enter();
      return work();
    } catch (error) {
      throw this.explain(error, path);
    }
  }

  /**
   * Gives something back. What the driver has to say to that is only noted: the owner is on its way
   * out, and there are other things left to give back.
   */
  release(action: () => void): void {
    try {
      if (!this.#isClosed) action();
    } catch (error) {
      this.explain(error, "release");
    }
  }

  /** Gives back the context; everything in it must have been given back before. */
  close(): void {
    if (this.#isClosed) return;
    this.release(() => this.driver.primaryContextRelease(this.#device));
    this.#isClosed = true;
    if (this.#isOwnDriver) this.driver.close();
  }
}

export function disposed(what: "executor" | "session" | "weights" | "graph"): HydrantError {
  return new HydrantError("executor/disposed", `The ${what} was disposed of.`, {
    hint: "Load the model again.",
  });
}
