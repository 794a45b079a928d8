import { CudaDevice } from "../../../runtime/cuda/device.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import { KernelCache } from "../../../runtime/nvrtc/cache.ts";
import { compileAll } from "../../../runtime/nvrtc/compile-all.ts";
import { kernelOptions } from "../../../runtime/nvrtc/kernel-options.ts";
import { buildPrefill, buildStep } from "../../models/decode-graphs.ts";
import { rootOnly } from "../../speculation/tree.ts";
import { HydrantError } from "../../util/errors.ts";
import { cudaHeaders } from "../cuda-headers.ts";
import { describeSubject, type SubjectOptions } from "../inspect/subject.ts";
import { chooseCandidate, quantile } from "./choose-candidate.ts";
import { tuningIdentity } from "./identity.ts";
import { type MeasuredVariant, measureVariants, type TuningDevice } from "./measure-variants.ts";
import {
  mergeTuning,
  readTuning,
  type TunedKernel,
  type TuningFile,
  tuningFormat,
  tuningPath,
  writeTuning,
} from "./tuning-file.ts";
import { type BoundGraph, type TunableKernel, tunableKernels } from "./variants.ts";

/** What to tune for, and where. */
export interface TuneOptions
  extends Pick<SubjectOptions, "model" | "shape" | "heads" | "tree" | "precision"> {
  /** `cuda` (default), `cuda:1`, or `emulator`, which counts instructions instead of time. */
  readonly device?: string | undefined;
  /** How often every candidate is timed; default 15. */
  readonly rounds?: number | undefined;
  /** Only kernels whose key or name contains this. */
  readonly kernel?: string | undefined;
  /** Where the measurements go; default the device's file in the cache folder, which models use. */
  readonly out?: string | undefined;
  /** Called after every kernel that has been measured. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What was measured in this run, and where it and earlier runs are stored. */
export interface TuneResult {
  readonly path: string;
  readonly file: TuningFile;
  /** Of this run. */
  readonly kernels: readonly TunedKernel[];
}

const usualRounds = 15;
/** Tokens the caches have room for: products do not depend on it. */
const capacity = 1024 + 64;

/**
 * Times the configurations a model's kernels can have on the device and stores all measurements with
 * the choices; later runs on the device use them. Configurations differ in speed only: each must
 * leave the bits of the usual one, and one that is not clearly faster is not taken.
 * @throws HydrantError `tune/device`, `tune/kernel`, `tune/rounds`, `tune/file`, and what the device
 *   or the model throws.
 */
export async function tune(options: TuneOptions): Promise<TuneResult> {
  const { rounds = usualRounds, kernel, onProgress } = options;
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new HydrantError("tune/rounds", `Kernels cannot be timed ${rounds} times.`, {
      hint: "Give a whole number from 1 on; 15 is usual.",
    });
  }
  const place = parseDevice(options.device ?? "cuda");
  // Names and files are read before a device is opened, so that a mistyped one is told at once.
  const { model, shape, heads, tree: treeName, precision } = options;
  const subject = await describeSubject({ model, shape, heads, tree: treeName, precision });
  const { base, drafter, tree = rootOnly } = subject;
  const emulator =
    place.kind === "emulator" ? await openDriver("emulator", { memoryBytes: 2 ** 29 }) : undefined;
  const device = await CudaDevice.open({
    driver: emulator ?? "cuda",
    ordinal: place.ordinal,
    activations: subject.target.activations,
  });
  try {
    const dims = { capacity, rows: emulator === undefined ? 512 : 128 };
    const graphs: BoundGraph[] = [
      { graph: buildStep(base, drafter, tree), dims },
      ...(tree.size === 1 ? [] : [{ graph: buildStep(base, drafter, rootOnly), dims }]),
      { graph: buildPrefill(base, drafter), dims },
    ];
    const found = tunableKernels(graphs, device.target, kernel);
    if (found.length === 0) throw nothingFound(kernel);
    const kernels: TunedKernel[] = [];
    const on: TuningDevice = { device, ordinal: place.ordinal, emulator };
    // What the emulator counts is the same every time.
    const taken = emulator === undefined ? rounds : 1;
    for (const one of found) {
      kernels.push(describe(one, await measure(on, one, taken), taken));
      onProgress?.(kernels.length, found.length);
    }
    const identity = tuningIdentity(device.identity);
    const path = options.out ?? tuningPath(identity);
    const unit = emulator === undefined ? "us" : "instructions";
    const measured: TuningFile = { format: tuningFormat, identity, unit, kernels };
    const file = mergeTuning(readTuning(path), measured);
    writeTuning(path, file);
    return { path, file, kernels };
  } finally {
    device.close();
    emulator?.close();
  }
}

async function measure(
  on: TuningDevice,
  kernel: TunableKernel,
  rounds: number,
): Promise<readonly MeasuredVariant[]> {
  const requests = kernel.variants.map(({ kernel: { source, entry } }) => ({
    source,
    name: `${entry}.cu`,
    arch: on.device.target.arch,
    headers: cudaHeaders(source),
    options: kernelOptions,
  }));
  const modules = await compileAll(on.device.nvrtc, requests, new KernelCache());
  return on.device.attempt(kernel.label, () => measureVariants(on, kernel, modules, rounds));
}

function describe(
  { key, label, launches, variants }: TunableKernel,
  measured: readonly MeasuredVariant[],
  rounds: number,
): TunedKernel {
  const { index, reason } = chooseCandidate(measured.map(({ times }) => times));
  return {
    key,
    label,
    launches,
    chosen: variants[index]?.name ?? "",
    reason,
    candidates: variants.map(({ name }, candidate) => {
      const { times = [], refused } = measured[candidate] ?? {};
      if (refused !== undefined) return { name, refused };
      const [least, most] = [Math.min(...times), Math.max(...times)];
      return { name, median: quantile(times, 0.5), least, most };
    }),
    made: new Date().toISOString(),
    rounds,
  };
}

function parseDevice(name: string): { kind: "cuda" | "emulator"; ordinal: number } {
  if (name === "emulator") return { kind: "emulator", ordinal: 0 };
  const match = /^cuda(?::(\d{1,4}))?$/.exec(name);
  if (match !== null) return { kind: "cuda", ordinal: Number(match[1] ?? 0) };
  throw new HydrantError("tune/device", `Kernels are not tuned for "${name}".`, {
    hint: "Use cuda, cuda:N or emulator.",
  });
}

function nothingFound(kernel: string | undefined): HydrantError {
  const which = kernel === undefined ? "" : ` named "${kernel}"`;
  return new HydrantError(
    "tune/kernel",
    `There is no kernel${which} with more than one configuration.`,
    {
      hint: "Only linear layers on tensor cores have some: of models with 16-bit weights, without --precision f32.",
    },
  );
}
