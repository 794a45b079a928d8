import { join } from "node:path";
import type { CudaDriver, CudaFunction, CudaModule } from "../../../runtime/driver/driver.ts";
import { KernelCache } from "../../../runtime/nvrtc/cache.ts";
import { type CompiledModule, compileCuda, nvrtcOptions } from "../../../runtime/nvrtc/compile.ts";
import type { Nvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import type { ResourceUsage } from "../../../runtime/nvrtc/resource-usage.ts";
import { HydrantError } from "../../util/errors.ts";
import type { KernelSpec } from "../inspect/kernel-spec.ts";
import type { KernelFolder } from "./kernel-folder.ts";

/** One of the two files of a kernel's folder, compiled. */
export interface KernelImage {
  /** `kernel.cu` or `reference.cu`. */
  readonly name: string;
  /** The file as the user would name it. */
  readonly path: string;
  readonly module: CompiledModule;
  readonly resources: ResourceUsage;
}

/**
 * Compiles `kernel.cu` and `reference.cu` with the options the kernel was generated for.
 * @throws CompileError with numbered source for text that does not compile, HydrantError
 *   `kernel/entry` where it has no kernel of the spec's name.
 */
export function compileFolder(
  nvrtc: Nvrtc,
  { path, spec, edited, reference }: KernelFolder,
): { readonly edited: KernelImage; readonly reference: KernelImage } {
  return {
    edited: compile(nvrtc, spec, edited, "kernel.cu", path),
    reference: compile(nvrtc, spec, reference, "reference.cu", path),
  };
}

function compile(
  nvrtc: Nvrtc,
  spec: KernelSpec,
  source: string,
  name: string,
  folder: string,
): KernelImage {
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

/** @throws HydrantError `kernel/arch`, CudaError where the driver refuses the image. */
export function loadImage(
  driver: CudaDriver,
  spec: KernelSpec,
  { module: { cubin, ptx } }: KernelImage,
): { readonly module: CudaModule; readonly function: CudaFunction } {
  const image = driver.kind === "cuda" ? cubin : new TextEncoder().encode(ptx);
  const module = driver.moduleLoadData(image);
  const fn = driver.moduleGetFunction(module, spec.entry);
  // Past 48 KiB, static and dynamic together, a function has to opt in; below it does no harm.
  if (spec.dynamicSharedBytes > 0)
    driver.functionSetAttribute(fn, "maxDynamicSharedSize", spec.dynamicSharedBytes);
  return { module, function: fn };
}
