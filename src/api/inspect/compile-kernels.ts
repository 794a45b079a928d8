import { KernelCache } from "../../../runtime/nvrtc/cache.ts";
import { type CompileRequest, nvrtcOptions } from "../../../runtime/nvrtc/compile.ts";
import { compileAll } from "../../../runtime/nvrtc/compile-all.ts";
import { kernelOptions } from "../../../runtime/nvrtc/kernel-options.ts";
import { type Nvrtc, openNvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import type { CompiledKernel, GpuLimits } from "../../inspection/inspection.ts";
import type { KernelSource } from "../../ir/program.ts";
import { type Disassembler, disassembleAll } from "./disassemble.ts";
import { occupancy } from "./occupancy.ts";
import { linkPtx } from "./ptx-lines.ts";

/** A kernel with its flattened text. */
export interface FlatKernel {
  readonly kernel: KernelSource;
  readonly cuda: string;
}

/** NVRTC's options for a kernel, the same as when a model runs. */
export function compileOptions(arch: string): readonly string[] {
  return nvrtcOptions({ source: "", name: "", arch, options: kernelOptions });
}

/** @throws HydrantError `nvrtc/not-found`, `nvrtc/load` */
export function openCompiler(maxMajor?: number): Nvrtc {
  return openNvrtc(maxMajor === undefined ? {} : { maxMajor });
}

export const versionOf = ({ version }: Nvrtc): string => `${version.major}.${version.minor}`;

export interface CompileKernelsOptions {
  readonly gpu: GpuLimits;
  /** Adds machine code. */
  readonly disassembler?: Disassembler | undefined;
  /** Called after every kernel that had to be compiled. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Compiles flattened kernels through the disk cache, in order.
 * @throws CompileError, HydrantError `nvrtc/unsupported-arch`, `inspect/disassembler`.
 */
export async function compileKernels(
  nvrtc: Nvrtc,
  kernels: readonly FlatKernel[],
  { gpu, disassembler, onProgress }: CompileKernelsOptions,
): Promise<readonly CompiledKernel[]> {
  const requests = kernels.map(
    ({ kernel, cuda }): CompileRequest => ({
      source: cuda,
      name: `${kernel.entry}.cu`,
      arch: gpu.arch,
      options: kernelOptions,
    }),
  );
  let done = 0;
  const modules = await compileAll(nvrtc, requests, new KernelCache(), {
    onModule: () => onProgress?.(++done, requests.length),
  });
  const code = await disassembleAll(
    disassembler,
    kernels.map(({ kernel }, index) => ({
      entry: kernel.entry,
      cubin: modules[index]?.cubin ?? new Uint8Array(0),
    })),
  );
  const compiled: CompiledKernel[] = [];
  for (const [index, { kernel }] of kernels.entries()) {
    const module = modules[index];
    if (module === undefined) continue;
    const { entry, threads, sharedBytes: dynamicShared } = kernel;
    const usage = module.resources[entry];
    const ptx = linkPtx(module.ptx);
    const sass = code[index];
    const registers = usage?.registers ?? 0;
    const staticSharedBytes = usage?.sharedBytes ?? 0;
    compiled.push({
      ptx: ptx.text,
      ptxLines: ptx.lines,
      ...(sass === undefined ? {} : { sass: sass.text, sassLines: sass.lines }),
      registers,
      spillBytes: usage?.spillBytes ?? 0,
      stackBytes: usage?.stackBytes ?? 0,
      staticSharedBytes,
      barriers: usage?.barriers ?? 0,
      occupancy: occupancy(
        { threads, registers, sharedBytes: staticSharedBytes + dynamicShared },
        gpu,
      ),
      log: module.log.trim(),
    });
  }
  return compiled;
}
