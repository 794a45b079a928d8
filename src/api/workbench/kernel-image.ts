import { join } from "node:path";
import type { CudaDriver, CudaFunction, CudaModule } from "../../../runtime/driver/driver.ts";
import { KernelCache } from "../../../runtime/nvrtc/cache.ts";
import { type CompiledModule, compileCuda, nvrtcOptions } from "../../../runtime/nvrtc/compile.ts";
import type { Nvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import type { ResourceUsage } from "../../../runtime/nvrtc/resource-usage.ts";
import { HydrantError } from "../../util/errors.ts";
import type { KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import type { KernelFolder } from "./kernel-folder.ts";

/** One of the two files of a kernel's folder, compiled. */
export interface KernelImage {
  /** `kernel.cu` or `reference.cu`. */
  readonly name: string;
  /** The file as the user would name it. */
  readonly path: string;
  readonly module: CompiledModule;
  readonly resources: ResourceUsage;
  readonly shape: LaunchShape;
}

/** How a kernel is launched. */
export interface LaunchShape {
  readonly grid: LaunchSpec["grid"];
  /** Of a block. */
  readonly threads: number;
  readonly dynamicSharedBytes: number;
}

/** A kernel on a device. */
export interface LoadedKernel {
  readonly module: CudaModule;
  readonly function: CudaFunction;
  readonly shape: LaunchShape;
}

/**
 * Compiles `kernel.cu` and `reference.cu` with the options the kernel was generated for.
 * @throws CompileError with numbered source for text that does not compile, HydrantError
 *   `kernel/entry` where it has no kernel of the spec's name.
 */
export function compileFolder(
  nvrtc: Nvrtc,
  { path, spec, edited, reference }: KernelFolder,
  shapes: { readonly edited: LaunchShape; readonly reference: LaunchShape },
): { readonly edited: KernelImage; readonly reference: KernelImage } {
  return {
    edited: { ...compile(nvrtc, spec, edited, "kernel.cu", path), shape: shapes.edited },
    reference: {
      ...compile(nvrtc, spec, reference, "reference.cu", path),
      shape: shapes.reference,
    },
  };
}

function compile(
  nvrtc: Nvrtc,
  spec: KernelSpec,
  source: string,
  name: string,
  folder: string,
): Omit<KernelImage, "shape"> {
  const path = join(folder, name);
  const request = { source, name: path, arch: spec.arch };
  const usual = new Set(nvrtcOptions(request));
  const options = spec.compileOptions.filter((option) => !usual.has(option));
  const module = compileCuda(nvrtc, { ...request, options }, new KernelCache());
  const resources = module.resources[spec.entry];
  if (resources === undefined) {
    throw new HydrantError("kernel/entry", `The file has no kernel "${spec.entry}".`, {
      path,
      hint: 'Its name is how it is launched: keep `extern "C" __global__` and the name.',
    });
  }
  return { name, path, module, resources };
}

/** @throws CudaError where the driver refuses the image. */
export function loadImage(
  driver: CudaDriver,
  spec: KernelSpec,
  { module: { cubin, ptx }, shape }: Pick<KernelImage, "module" | "shape">,
): LoadedKernel {
  const image = driver.kind === "cuda" ? cubin : new TextEncoder().encode(ptx);
  const module = driver.moduleLoadData(image);
  const fn = driver.moduleGetFunction(module, spec.entry);
  // Past 48 KiB, static and dynamic together, a function has to opt in; below it does no harm.
  if (shape.dynamicSharedBytes > 0)
    driver.functionSetAttribute(fn, "maxDynamicSharedSize", shape.dynamicSharedBytes);
  return { module, function: fn, shape };
}
