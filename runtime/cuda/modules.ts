import type { KernelSource } from "../../src/ir/program.ts";
import { HydrantError, invariant } from "../../src/util/errors.ts";
import { CUDA_RESULTS, CudaError } from "../driver/check.ts";
import type { CudaFunction, CudaModule } from "../driver/driver.ts";
import type { KernelCache } from "../nvrtc/cache.ts";
import { type CompiledModule, type CompileRequest, compileAnew } from "../nvrtc/compile.ts";
import { compileAll } from "../nvrtc/compile-all.ts";
import { kernelOptions } from "../nvrtc/kernel-options.ts";
import type { CudaDevice } from "./device.ts";

/** The texts a CUDA source includes, by include name. */
export type HeaderLookup = (source: string) => Readonly<Record<string, string>>;

interface LoadedKernel {
  readonly module: CudaModule;
  readonly function: CudaFunction;
  /** Bytes of the image. */
  readonly bytes: number;
  /** Dynamic shared memory launches may ask for. */
  sharedBytes: number;
}

/** Kernels on the device, by their source: shared by all programs and sessions of an executor. */
export class KernelModules {
  readonly #device: CudaDevice;
  readonly #headers: HeaderLookup;
  readonly #cache: KernelCache | undefined;
  readonly #loaded = new Map<string, LoadedKernel>();
  #compiled = 0;
  #fromCache = 0;

  constructor(device: CudaDevice, headers: HeaderLookup, cache: KernelCache | undefined) {
    this.#device = device;
    this.#headers = headers;
    this.#cache = cache;
  }

  /** Kernels compiled by NVRTC, and kernels found in the cache, so far. */
  get counts(): { readonly compiled: number; readonly fromCache: number } {
    return { compiled: this.#compiled, fromCache: this.#fromCache };
  }

  /** Bytes of the loaded images: about what they take on the device. */
  get bytes(): number {
    return [...this.#loaded.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  isLoaded(kernels: readonly KernelSource[]): boolean {
    return kernels.every(
      ({ source, sharedBytes }) => (this.#loaded.get(source)?.sharedBytes ?? -1) >= sharedBytes,
    );
  }

  /**
   * Compiles (or finds in the cache) and loads what is not loaded yet.
   * @throws CompileError, HydrantError `cuda/kernel-refused`
   */
  async load(kernels: readonly KernelSource[]): Promise<void> {
    const missing = new Map<string, KernelSource>();
    for (const kernel of kernels) {
      if (!this.#loaded.has(kernel.source)) missing.set(kernel.source, kernel);
    }
    const requests = [...missing.values()].map((kernel) => this.#request(kernel));
    const modules = await compileAll(this.#device.nvrtc, requests, this.#cache);
    this.#device.enter();
    for (const [index, kernel] of [...missing.values()].entries()) {
      const [compiled, request] = [modules[index], requests[index]];
      invariant(compiled !== undefined && request !== undefined, "every request has a module");
      // Another session may have loaded it while this one waited.
      if (!this.#loaded.has(kernel.source)) this.#add(kernel, request, compiled);
    }
    for (const kernel of kernels) this.#allowShared(kernel);
  }

  /** @throws Error when the kernel was not loaded: a bug of the caller's. */
  function(kernel: KernelSource): CudaFunction {
    const loaded = this.#loaded.get(kernel.source);
    invariant(loaded !== undefined, `kernel ${kernel.entry} is loaded`);
    return loaded.function;
  }

  dispose(): void {
    const { driver } = this.#device;
    for (const { module } of this.#loaded.values())
      this.#device.release(() => driver.moduleUnload(module));
    this.#loaded.clear();
  }

  #request({ source, entry }: KernelSource): CompileRequest {
    const { arch } = this.#device.target;
    return {
      source,
      name: `${entry}.cu`,
      arch,
      headers: this.#headers(source),
      options: kernelOptions,
    };
  }

  #add(kernel: KernelSource, request: CompileRequest, compiled: CompiledModule): void {
    let module = compiled;
    let loaded: LoadedKernel;
    try {
      loaded = this.#loadImage(kernel, module);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (!module.fromCache) throw refused(kernel, module, error);
      // What the cache held may be damaged or of another time; the compiler has the last word.
      module = compileAnew(this.#device.nvrtc, request, this.#cache);
      try {
        loaded = this.#loadImage(kernel, module);
      } catch (again) {
        throw isRefusal(again) ? refused(kernel, module, again) : again;
      }
    }
    if (module.fromCache) this.#fromCache++;
    else this.#compiled++;
    this.#loaded.set(kernel.source, loaded);
  }

  #loadImage(kernel: KernelSource, compiled: CompiledModule): LoadedKernel {
    const { driver } = this.#device;
    const isMachineCode = driver.kind === "cuda" && compiled.cubin.length > 0;
    const image = isMachineCode ? compiled.cubin : new TextEncoder().encode(compiled.ptx);
    const module = driver.moduleLoadData(image);
    try {
      const fn = driver.moduleGetFunction(module, kernel.entry);
      // Drivers load functions when they are first used, which a stream capture does not allow.
      driver.functionAttribute(fn, "numRegisters");
      return { module, function: fn, bytes: image.length, sharedBytes: 0 };
    } catch (error) {
      this.#device.release(() => driver.moduleUnload(module));
      throw error;
    }
  }

  #allowShared({ source, sharedBytes }: KernelSource): void {
    const loaded = this.#loaded.get(source);
    if (loaded === undefined || loaded.sharedBytes >= sharedBytes) return;
    const { driver } = this.#device;
    driver.functionSetAttribute(loaded.function, "maxDynamicSharedSize", sharedBytes);
    loaded.sharedBytes = sharedBytes;
  }
}

/** True when another image might do better. */
function isRefusal(error: unknown): error is CudaError {
  return (
    error instanceof CudaError &&
    !error.sticky &&
    error.result !== CUDA_RESULTS.CUDA_ERROR_OUT_OF_MEMORY
  );
}

function refused(kernel: KernelSource, compiled: CompiledModule, cause: CudaError): HydrantError {
  return new HydrantError(
    "cuda/kernel-refused",
    `The driver does not load what NVRTC ${compiled.nvrtcVersion} made for ${compiled.arch}: ${cause.message}`,
    {
      path: kernel.entry,
      hint: "Update the NVIDIA driver, or point HYDRANT_NVRTC at a libnvrtc no newer than it (`hydra doctor` shows both).",
      cause,
    },
  );
}
