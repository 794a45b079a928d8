import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import type { KernelCall } from "../../kernels/entry.ts";
import {
  type CudaDriver,
  type CudaFunction,
  type DevicePtr,
  TENSOR_MAP_ALIGN,
} from "../../runtime/driver/driver.ts";
import type {
  Finding,
  InstrumentedDriver,
  KernelCounters,
} from "../../runtime/driver/instrumented-driver.ts";
import { type KernelArg, packArgs } from "../../runtime/driver/kernel-args.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import type { ResourceUsage } from "../../runtime/nvrtc/resource-usage.ts";
import type { BufferId, KernelSource } from "../../src/ir/program.ts";
import { byteSize, type FloatDType } from "../../src/ir/dtype.ts";
import { decodeFloats, encodeFloats } from "../../src/ir/float-formats.ts";

type Memory = Float32Array | Int32Array | BigUint64Array | Uint16Array | Uint8Array;

/** Bytes of a buffer before a run, or how many there are when the kernels must fill it. */
export type LabBuffer = Memory | { readonly bytes: number };

export interface LabOptions {
  /** `sm_80` (default) runs on the emulator as 8.0; `sm_90` and `sm_90a` as 9.0. */
  readonly arch?: string;
  readonly seed?: number;
  readonly sanitizer?: boolean;
  /** Headers that are not in kernels/ (yet), by include name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Runs kernels on an emulated device of their own: the place to try a kernel and to test it. Every
 * kernel is compiled for the real architecture, so `resources` has its registers and spills.
 */
export class KernelLab {
  readonly #driver: InstrumentedDriver;
  readonly #arch: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #functions = new Map<string, CudaFunction>();
  /** Registers, spills and shared memory by kernel symbol. */
  readonly resources = new Map<string, ResourceUsage>();

  private constructor(
    driver: InstrumentedDriver,
    arch: string,
    headers: Readonly<Record<string, string>>,
  ) {
    this.#driver = driver;
    this.#arch = arch;
    this.#headers = headers;
  }

  static async open(options: LabOptions = {}): Promise<KernelLab> {
    const { arch = "sm_80", seed = 0, sanitizer = true, headers = {} } = options;
    const driver = await openDriver("emulator", {
      computeCapability: arch.startsWith("sm_9") ? "9.0" : "8.0",
      seed,
      sanitizer,
    });
    driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
    return new KernelLab(driver, arch, headers);
  }

  get driver(): CudaDriver {
    return this.#driver;
  }

  /** Faults the sanitiser saw so far. */
  findings(): readonly Finding[] {
    return this.#driver.findings();
  }

  /** Memory traffic, bank conflicts and instructions of all launches so far. */
  counters(): KernelCounters {
    return this.#driver.counters();
  }

  /** Launches the calls in order. Returns every buffer's bytes afterwards. */
  run(
    calls: readonly KernelCall[],
    buffers: ReadonlyMap<BufferId, LabBuffer>,
  ): ReadonlyMap<BufferId, Uint8Array<ArrayBuffer>> {
    const driver = this.#driver;
    const places = new Map<BufferId, { ptr: DevicePtr; bytes: number }>();
    for (const [id, buffer] of buffers) {
      const bytes = "bytes" in buffer ? buffer.bytes : buffer.byteLength;
      const ptr = driver.memAlloc(Math.max(bytes, 1));
      if (!("bytes" in buffer)) driver.memcpyHtoD(ptr, buffer);
      places.set(id, { ptr, bytes });
    }
    const pointer = (id: BufferId): DevicePtr => {
      const place = places.get(id);
      if (place === undefined) throw new Error(`no memory was given for buffer ${id}`);
      return place.ptr;
    };
    const stream = driver.streamCreate();
    for (const [index, { kernel, launch }] of calls.entries()) {
      const [x, y, z] = launch.grid;
      driver.launch(
        {
          programmatic: this.#arch.startsWith("sm_9") && index > 0,
          function: this.#function(kernel),
          grid: { x, y, z },
          block: { x: kernel.threads, y: 1, z: 1 },
          sharedBytes: kernel.sharedBytes,
          args: packArgs(
            launch.args.map((arg): KernelArg => {
              switch (arg.type) {
                case "buffer":
                  return { type: "ptr", value: pointer(arg.buffer) };
                case "table": {
                  const addresses = BigUint64Array.from(arg.buffers, (id) => BigInt(pointer(id)));
                  return { type: "bytes", value: new Uint8Array(addresses.buffer), align: 8 };
                }
                case "tensor-map": {
                  const value = driver.tensorMapEncode(pointer(arg.buffer), arg.map);
                  return { type: "bytes", value, align: TENSOR_MAP_ALIGN };
                }
                case "i32":
                case "f32":
                  return arg;
                case "ring":
                  // The ring is buffer -1 in the lab.
                  return { type: "ptr", value: pointer(-1) };
                default:
                  return arg satisfies never;
              }
            }),
          ),
        },
        stream,
      );
    }
    driver.streamSynchronize(stream);
    driver.streamDestroy(stream);
    const after = new Map<BufferId, Uint8Array<ArrayBuffer>>();
    for (const [id, { ptr, bytes }] of places) {
      const out = new Uint8Array(bytes);
      driver.memcpyDtoH(out, ptr);
      driver.memFree(ptr);
      after.set(id, out);
    }
    return after;
  }

  close(): void {
    this.#driver.close();
  }

  #function(kernel: KernelSource): CudaFunction {
    const known = this.#functions.get(kernel.entry);
    if (known !== undefined) return known;
    const compiled = compileKernel(kernel, this.#arch, this.#headers);
    const usage = compiled.resources[kernel.entry];
    if (usage !== undefined) this.resources.set(kernel.entry, usage);
    const image = new TextEncoder().encode(compiled.ptx);
    const fn = this.#driver.moduleGetFunction(this.#driver.moduleLoadData(image), kernel.entry);
    if (kernel.sharedBytes > 48 * 1024)
      this.#driver.functionSetAttribute(fn, "maxDynamicSharedSize", kernel.sharedBytes);
    this.#functions.set(kernel.entry, fn);
    return fn;
  }
}

/** Compiles as the runtime does, with headers of the caller's own. */
export function compileKernel(
  kernel: KernelSource,
  arch: string,
  own: Readonly<Record<string, string>> = {},
) {
  // What kernels/ and the prelude have to give: for this source and for the caller's headers.
  const rest = [kernel.source, ...Object.values(own)]
    .join("\n")
    .replaceAll(/^#include "(.+)"$/gm, (line, name: string) => (name in own ? "" : line));
  return compileCuda(openNvrtc(), {
    source: kernel.source,
    name: `${kernel.entry}.cu`,
    arch,
    headers: { ...cudaHeaders(rest), ...own },
    options: ["--fmad=false"],
  });
}

/** Floats in a storage type's bits. */
export function stored(dtype: FloatDType, values: ArrayLike<number>): Uint8Array {
  return encodeFloats(dtype, Float32Array.from(values));
}

/** The floats of stored bits. */
export function floatsOf(dtype: FloatDType, bytes: Uint8Array | undefined): Float32Array {
  if (bytes === undefined) throw new Error("the lab has no such buffer");
  return decodeFloats(
    dtype,
    bytes.subarray(0, Math.floor(bytes.byteLength / byteSize(dtype)) * byteSize(dtype)),
  );
}
