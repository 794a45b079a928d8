import type { Executor } from "../../runtime/executor.ts";
import type { FloatDType } from "../ir/dtype.ts";
import { HydrantError } from "../util/errors.ts";

/**
 * What a GPU computes with. `auto`: activations are rounded to the type of 16-bit weights where they
 * enter a product, and caches have that type. `f32`: both stay f32. The CPU always has f32.
 */
export type Precision = "auto" | "f32";

export interface DeviceOptions {
  /** CPU threads. */
  readonly threads?: number | undefined;
  readonly precision?: Precision | undefined;
}

/** An executor, and what suits it. */
export interface OpenDevice {
  readonly executor: Executor;
  /** Type of cached keys and values beside weights of this type. */
  readonly cacheType: (weights: FloatDType) => FloatDType;
  /** Prompt tokens absorbed at a time: an abort waits for no more than this. */
  readonly prefillRows: number;
}

/** What `auto` takes, and why no GPU. */
export type AutoChoice =
  | { readonly device: `cuda:${number}` }
  | { readonly device: "cpu"; readonly reason: string };

/**
 * The device of a name: `auto` (a usable GPU, else the CPU), `cuda`, `cuda:1`, `emulator`, `cpu`,
 * `interpreter`.
 * @throws HydrantError `load/device` for a name that is not known, `load/precision`, and what is
 *   wrong with a GPU that was asked for; `auto` throws none of a GPU's.
 */
export async function openDevice(name: string, options: DeviceOptions = {}): Promise<OpenDevice> {
  checkPrecision(options.precision);
  const ordinal = /^cuda(?::(\d{1,4}))?$/.exec(name);
  if (ordinal !== null) return openCuda(Number(ordinal[1] ?? 0), options);
  switch (name) {
    case "auto": {
      const choice = await chooseAuto();
      if (choice.device === "cpu") return openCpu(options);
      try {
        return await openDevice(choice.device, options);
      } catch {
        // Such as a GPU that is full or belongs to another process alone.
        return openCpu(options);
      }
    }
    case "cpu":
      return openCpu(options);
    case "emulator":
      return openEmulator(options);
    case "interpreter": {
      const { InterpreterExecutor } = await import("../../runtime/interpreter-executor.ts");
      return hostDevice(new InterpreterExecutor());
    }
    default:
      throw new HydrantError("load/device", `There is no device "${name}".`, {
        hint: "Use auto, cuda, cuda:N, cpu, emulator or interpreter.",
      });
  }
}

/** Never throws: whatever is wrong with a GPU is the reason for the CPU. */
export async function chooseAuto(): Promise<AutoChoice> {
  try {
    const { findGpu } = await import("./find-gpu.ts");
    return { device: `cuda:${await findGpu()}` };
  } catch (error) {
    return { device: "cpu", reason: error instanceof Error ? error.message : String(error) };
  }
}

async function openCpu({ threads }: DeviceOptions): Promise<OpenDevice> {
  const { CpuExecutor } = await import("../../runtime/cpu/executor.ts");
  return hostDevice(await CpuExecutor.create({ threads }));
}

function hostDevice(executor: Executor): OpenDevice {
  return { executor, cacheType: () => "f32", prefillRows: 128 };
}

async function openCuda(ordinal: number, options: DeviceOptions): Promise<OpenDevice> {
  const { findGpu } = await import("./find-gpu.ts");
  await findGpu(ordinal);
  const { createCudaExecutor } = await import("./compile-program.ts");
  const executor = await createCudaExecutor({
    driver: "cuda",
    ordinal,
    activations: activations(options),
  });
  return { executor, cacheType: cacheType(options), prefillRows: 512 };
}

/** The same kernels as on a GPU, without one: slow, and for small models. */
async function openEmulator(options: DeviceOptions): Promise<OpenDevice> {
  const { createCudaExecutor } = await import("./compile-program.ts");
  const executor = await createCudaExecutor({
    driver: "emulator",
    ordinal: 0,
    activations: activations(options),
    emulator: { sanitizer: false },
  });
  return { executor, cacheType: cacheType(options), prefillRows: 128 };
}

function activations({ precision }: DeviceOptions): "stored" | "f32" {
  return precision === "f32" ? "f32" : "stored";
}

function cacheType({ precision }: DeviceOptions): OpenDevice["cacheType"] {
  return (weights) => (precision === "f32" ? "f32" : weights);
}

/** @throws HydrantError `load/precision` */
export function checkPrecision(precision: string | undefined): void {
  if (precision === undefined || precision === "auto" || precision === "f32") return;
  throw new HydrantError("load/precision", `There is no precision "${precision}".`, {
    hint: "Use auto or f32.",
  });
}
