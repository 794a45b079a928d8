/** Binds the CUDA driver library through koffi. Needs a driver for CUDA 12.0 or newer. */
import { existsSync } from "node:fs";
import koffi from "koffi";
import { HydrantError } from "../../src/util/errors.ts";
import {
  type NativeCall,
  OPTIONAL_ENTRY_POINTS,
  type OptionalEntryPoint,
  REQUIRED_ENTRY_POINTS,
  type RequiredEntryPoint,
} from "./cuda-entry-points.ts";
import { CudaLibraryDriver } from "./cuda-library-driver.ts";
import { SCRATCH_BYTES } from "./cuda-structs.ts";
import { type CudaDriver, TENSOR_MAP_ALIGN } from "./driver.ts";

/** The driver's PTX compiler is deeper than koffi's own stack of 2 MiB is sure to hold. */
const NATIVE_STACK_BYTES = 8 * 2 ** 20;

const LOADER_NAME = "libcuda.so.1";
/** Where containers, WSL and NixOS have the driver, whether or not the loader has been told. */
const OTHER_PLACES = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"].map(
  (folder) => `${folder}/${LOADER_NAME}`,
);

/**
 * Binds the driver library at `path`: by default `HYDRANT_CUDA_DRIVER` or what the loader finds.
 * Throws `cuda/no-driver` when there is none and `cuda/driver-too-old` when entry points miss.
 * `init` must still be called.
 */
export function loadCudaDriver(
  path: string = process.env.HYDRANT_CUDA_DRIVER || LOADER_NAME,
): CudaDriver {
  const library = openLibrary(path);
  const find = (prototype: string): NativeCall | undefined => {
    try {
      return library.func(prototype);
    } catch {
      return undefined;
    }
  };
  const required = new Map<RequiredEntryPoint, NativeCall>();
  for (const [name, prototype] of Object.entries(REQUIRED_ENTRY_POINTS)) {
    const call = find(prototype);
    if (call === undefined) {
      throw new HydrantError("cuda/driver-too-old", `The driver library has no ${name}.`, {
        path,
        hint: "Update the NVIDIA driver to 525 (CUDA 12.0) or newer.",
      });
    }
    required.set(name as RequiredEntryPoint, call);
  }
  const optional = new Map<OptionalEntryPoint, NativeCall>();
  for (const [name, prototype] of Object.entries(OPTIONAL_ENTRY_POINTS)) {
    const call = find(prototype);
    if (call !== undefined) optional.set(name as OptionalEntryPoint, call);
  }
  // Tensor maps are written to aligned places only, allocations begin at multiples of 16.
  const scratch: unknown = koffi.alloc("uint8_t", SCRATCH_BYTES + TENSOR_MAP_ALIGN);
  const scratchBytes = koffi.view(scratch, SCRATCH_BYTES + TENSOR_MAP_ALIGN);
  const begin = Number(koffi.address(scratch));
  const skipped = Math.ceil(begin / TENSOR_MAP_ALIGN) * TENSOR_MAP_ALIGN - begin;
  return new CudaLibraryDriver({
    required,
    optional,
    scratch: {
      address: begin + skipped,
      view: new DataView(scratchBytes, skipped, SCRATCH_BYTES),
      bytes: new Uint8Array(scratchBytes, skipped, SCRATCH_BYTES),
    },
    viewMemory: (address, byteLength) => koffi.view(BigInt(address), byteLength),
    close: () => koffi.free(scratch),
  });
}

function openLibrary(path: string): ReturnType<typeof koffi.load> {
  // Settings hold from the first library on; whoever loads one first makes them.
  if ((koffi.config().sync_stack_size ?? 0) < NATIVE_STACK_BYTES) {
    try {
      koffi.config({ sync_stack_size: NATIVE_STACK_BYTES });
    } catch {
      // A library is loaded already, with the smaller stack: enough for all but extreme PTX.
    }
  }
  try {
    return koffi.load(path);
  } catch (error) {
    const other =
      path === LOADER_NAME ? OTHER_PLACES.find((place) => existsSync(place)) : undefined;
    if (other !== undefined) return openLibrary(other);
    throw new HydrantError("cuda/no-driver", "The CUDA driver library does not load.", {
      path,
      hint: "Install the NVIDIA driver (525 or newer), point HYDRANT_CUDA_DRIVER at libcuda.so.1, or use the CPU or the emulator.",
      cause: error,
    });
  }
}
