/** A PTX module on the device: its variables placed, its kernels translated when first used. */
import { cudaError } from "../../driver/check.ts";
import type { ParamLayout } from "../../driver/driver.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import type { Kernel } from "../execute/kernel.ts";
import { parsePtx } from "../ptx/parser.ts";
import type { PtxFunction, PtxModule } from "../ptx/ptx.ts";
import type { Allocation } from "./device-memory.ts";

export interface FunctionData {
  readonly handle: number;
  readonly module: ModuleData;
  readonly entry: PtxFunction;
  readonly params: readonly ParamLayout[];
  maxDynamicShared: number;
  carveout: number;
  nonPortableCluster: number;
  kernel: Kernel | undefined;
}

export interface ModuleData {
  readonly handle: number;
  readonly ptx: PtxModule;
  readonly variables: ReadonlyMap<string, Allocation>;
  readonly functions: Map<string, FunctionData>;
  unloaded: boolean;
}

/** Modules parsed last: tests and tools load the same text again and again. */
const recent = new Map<string, PtxModule>();
const RECENT = 16;

function parsed(text: string): PtxModule {
  const module = recent.get(text) ?? parsePtx(text);
  recent.delete(text);
  recent.set(text, module);
  const [oldest] = recent.keys();
  if (recent.size > RECENT && oldest !== undefined) recent.delete(oldest);
  return module;
}

const ELF = [0x7f, 0x45, 0x4c, 0x46];

/** Parses a module image. Throws `CudaError` for cubins and for PTX of a newer architecture. */
export function readImage(image: Uint8Array, capability: number): PtxModule {
  if (ELF.every((byte, at) => image[at] === byte)) {
    throw cudaError(
      "CUDA_ERROR_NO_BINARY_FOR_GPU",
      "cuModuleLoadData",
      "the emulator runs PTX, this is a cubin",
    );
  }
  const end = image.indexOf(0);
  const text = new TextDecoder().decode(end === -1 ? image : image.subarray(0, end));
  if (!/^\s*\.version/m.test(text)) {
    throw cudaError("CUDA_ERROR_INVALID_IMAGE", "cuModuleLoadData", "it is not PTX");
  }
  let module: PtxModule;
  try {
    module = parsed(text);
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error;
    throw cudaError("CUDA_ERROR_INVALID_PTX", "cuModuleLoadData", error.oneLine);
  }
  const needs = /sm_(\d+)(a?)/.exec(module.target);
  const version = Number(needs?.[1] ?? 0);
  if (version > capability || (needs?.[2] === "a" && version !== capability)) {
    throw cudaError(
      "CUDA_ERROR_NO_BINARY_FOR_GPU",
      "cuModuleLoadData",
      `the PTX is for ${module.target}, the emulated device is sm_${capability}`,
    );
  }
  return module;
}
