import { availableParallelism } from "node:os";
import type { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { CpuExecutor } from "../../runtime/cpu/executor.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { Executor } from "../../runtime/executor.ts";
import { createCudaExecutor } from "../../src/api/compile-program.ts";
import { findGpu } from "../../src/api/find-gpu.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import type { Target } from "../../src/ir/program.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { matrixRate } from "../ceilings/matrix-rate.ts";
import { copyBandwidth } from "../ceilings/memory.ts";
import { CountingDriver } from "./emulator-counters.ts";
import type { BenchDevice } from "./results.ts";

export type DeviceKind = "cpu" | "emulator" | "cuda";

interface Common {
  readonly about: BenchDevice;
  /** What code is generated for; on the CPU, what the traffic of a case is taken from. */
  readonly target: Target;
  /** Of cached keys and values beside 16-bit weights. */
  readonly cacheType: (weights: FloatDType) => FloatDType;
  dispose(): Promise<void>;
}

export interface CpuBench extends Common {
  readonly kind: "cpu";
  /** As asked for; undefined: the executor's own choice. */
  readonly threads: number | undefined;
  /** One thread unless a number was asked for: what the others of a busy machine do changes less. */
  readonly kernels: Executor;
  /** As a model runs. */
  readonly models: Executor;
}

export interface EmulatorBench extends Common {
  readonly kind: "emulator";
  readonly executor: CudaExecutor;
  readonly counting: CountingDriver;
}

export interface CudaBench extends Common {
  readonly kind: "cuda";
  readonly executor: CudaExecutor;
  /** Bytes of the cache that all multiprocessors share. */
  readonly cacheBytes: number;
}

export type SuiteDevice = CpuBench | EmulatorBench | CudaBench;

/**
 * The kind of a device name, before it is opened.
 * @throws HydrantError `bench/device`
 */
export function deviceKind(name: string): DeviceKind {
  if (name === "cpu" || name === "emulator") return name;
  if (/^cuda(:\d{1,4})?$/.test(name)) return "cuda";
  throw new HydrantError("bench/device", `There is no device "${name}" to measure.`, {
    hint: "Use cpu, emulator, cuda, cuda:N or all.",
  });
}

/**
 * The names that `all` stands for on this machine.
 * @param left is told of each device that is left out, and why.
 */
export async function allDevices(left: (what: string) => void): Promise<readonly string[]> {
  const names = ["cpu"];
  try {
    const { openNvrtc } = await import("../../runtime/nvrtc/nvrtc.ts");
    openNvrtc();
    names.push("emulator");
  } catch (error) {
    left(`emulator left out: ${reason(error)}`);
  }
  try {
    names.push(`cuda:${await findGpu()}`);
  } catch (error) {
    left(`cuda left out: ${reason(error)}`);
  }
  return names;
}

/** @throws HydrantError for what the machine lacks. */
export async function openSuiteDevice(
  name: string,
  threads: number | undefined,
): Promise<SuiteDevice> {
  const kind = deviceKind(name);
  switch (kind) {
    case "cpu":
      return openCpu(threads);
    case "emulator":
      return openEmulator();
    case "cuda":
      return openCuda(Number(name.split(":")[1] ?? 0));
    default:
      return kind satisfies never;
  }
}

function openCpu(threads: number | undefined): CpuBench {
  const kernels = new CpuExecutor({ threads: threads ?? 1 });
  const models = new CpuExecutor({ threads });
  const most = threads ?? availableParallelism();
  return {
    kind: "cpu",
    about: {
      name: "cpu",
      details: `kernels on ${count(threads ?? 1)}, models on ${threads === undefined ? "up to " : ""}${count(most)}`,
    },
    target: {
      capability: 90,
      arch: "sm_90",
      nvrtcMajor: 13,
      multiprocessors: 132,
      activations: "f32",
    },
    cacheType: () => "f32",
    threads,
    kernels,
    models,
    dispose: async () => {
      await kernels.dispose();
      await models.dispose();
    },
  };
}

async function openEmulator(): Promise<EmulatorBench> {
  const counting = await CountingDriver.open();
  const executor = await createCudaExecutor({
    driver: counting.driver,
    ordinal: 0,
    activations: "stored",
  });
  const { target } = executor;
  return {
    kind: "emulator",
    about: {
      name: "emulator",
      details: `compute capability ${target.capability / 10}, NVRTC ${target.nvrtcMajor}, with the sanitiser`,
    },
    target,
    cacheType: (weights) => weights,
    executor,
    counting,
    dispose: async () => {
      await executor.dispose();
      counting.close();
    },
  };
}

async function openCuda(ordinal: number): Promise<CudaBench> {
  await findGpu(ordinal);
  const driver = await openDriver("cuda");
  const executor = await createCudaExecutor({ driver, ordinal, activations: "stored" });
  return {
    kind: "cuda",
    about: {
      name: `cuda:${ordinal}`,
      details: describeGpu(driver, ordinal, executor.target),
      copyBandwidth: copyBandwidth(driver, ordinal),
      matrixRate: matrixRate(driver, ordinal),
    },
    target: executor.target,
    cacheType: (weights) => weights,
    executor,
    cacheBytes: driver.deviceAttribute(driver.deviceGet(ordinal), "l2CacheSize"),
    dispose: async () => {
      await executor.dispose();
      driver.close();
    },
  };
}

function describeGpu(driver: CudaDriver, ordinal: number, target: Target): string {
  const version = driver.driverVersion();
  const cuda = `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
  return `${driver.deviceName(driver.deviceGet(ordinal))}, driver for CUDA ${cuda}, NVRTC ${target.nvrtcMajor}, ${target.arch}`;
}

function count(threads: number): string {
  return threads === 1 ? "1 thread" : `${threads} threads`;
}

function reason(error: unknown): string {
  if (error instanceof HydrantError) return error.oneLine;
  return error instanceof Error ? error.message : String(error);
}
