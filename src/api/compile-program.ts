import { compileGraph } from "../../codegen/compile.ts";
import { fillKernel } from "../../kernels/fill/fill.ts";
import { loopKernel } from "../../kernels/loop/loop.ts";
import { packKernel } from "../../kernels/pack/pack.ts";
import { CudaExecutor, type CudaOptions } from "../../runtime/cuda/executor.ts";
import type { EmulatorOptions } from "../../runtime/driver/instrumented-driver.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import type { ProgramCompiler, Target } from "../ir/program.ts";
import { cudaHeaders } from "./cuda-headers.ts";
import { tuningIdentity } from "./tune/identity.ts";
import { findTuning } from "./tune/tuning-file.ts";

/** The code generator and the kernels, as the runtime wants them. */
export const programCompiler: ProgramCompiler = {
  compile: compileGraph,
  pack: packKernel,
  fill: fillKernel,
  loop: loopKernel,
};

export interface CudaDevice {
  readonly driver: CudaOptions["driver"];
  readonly ordinal: number;
  readonly activations: Target["activations"];
  readonly emulator?: EmulatorOptions;
  /** These as in `CudaOptions`. */
  readonly overlapLaunches?: boolean;
  readonly loopRuns?: number;
  readonly warpgroups?: boolean;
}

/**
 * `HYDRANT_LOOP=off`, `HYDRANT_OVERLAP=off` and `HYDRANT_WGMMA=off` do without loops, overlapping
 * launches and products of warpgroups, whatever is asked for: the way out where a machine has trouble
 * with them.
 */
export function withoutByEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Pick<CudaDevice, "overlapLaunches" | "loopRuns" | "warpgroups"> {
  return {
    ...(env.HYDRANT_LOOP === "off" ? { loopRuns: 1 } : {}),
    ...(env.HYDRANT_OVERLAP === "off" ? { overlapLaunches: false } : {}),
    ...(env.HYDRANT_WGMMA === "off" ? { warpgroups: false } : {}),
  };
}

/**
 * An executor with this code generator, these kernels and this machine's caches.
 * @param env what `withoutByEnvironment` reads.
 * @throws HydrantError when the driver, the device or NVRTC cannot be used.
 */
export function createCudaExecutor(
  device: CudaDevice,
  env: NodeJS.ProcessEnv = process.env,
): Promise<CudaExecutor> {
  return CudaExecutor.create({
    ...device,
    ...withoutByEnvironment(env),
    compiler: programCompiler,
    headers: cudaHeaders,
    cache: new KernelCache(),
    tuning: (found) => findTuning(tuningIdentity(found)).tuning,
  });
}
