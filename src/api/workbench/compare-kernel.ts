import type { Finding, KernelCounters } from "../../../runtime/driver/instrumented-driver.ts";
import { openNvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import type { Occupancy } from "../../inspection/inspection.ts";
import { HydrantError } from "../../util/errors.ts";
import { gpuLimits } from "../inspect/gpu-limits.ts";
import type { KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import { occupancy } from "../inspect/occupancy.ts";
import { type BufferComparison, compareBuffer, isWithin } from "./compare-buffers.ts";
import { chooseLaunch, type KernelFolder, readKernelFolder } from "./kernel-folder.ts";
import { compileFolder, type KernelImage, type LaunchShape } from "./kernel-image.ts";
import { chooseContextLength, type Content, launchBuffers, launchValues } from "./launch-values.ts";
import type { TimeComparison } from "./measure-launches.ts";
import { type Outcome, runEmulated } from "./run-emulated.ts";
import { runOnGpu } from "./run-gpu.ts";

/** Which kernel to compare with its reference, on what data, and where. */
export interface CompareKernelOptions {
  /** A kernel's folder, as `hydra inspect --out` writes it. */
  readonly folder: string;
  /** Default `emulator`. */
  readonly device?: "emulator" | "cuda" | undefined;
  /** Which of the kinds of launches of the kernel, from 1; default 1. */
  readonly launch?: number | undefined;
  /** Tokens in the caches; default 1000, or as many as they have room for. */
  readonly context?: number | undefined;
  /** Of a kernel that draws tokens; default 0.8, so that there is something to draw. */
  readonly temperature?: number | undefined;
  /** Of random buffers, and of the order in which the emulator runs blocks and warps; default 0. */
  readonly seed?: number | undefined;
  /** Rounds of measuring on a GPU; default 20. */
  readonly rounds?: number | undefined;
  /** The relative difference of results that passes; default 0, the same bits. */
  readonly tolerance?: number | undefined;
  /** How `kernel.cu` is launched where not as `reference.cu` is. */
  readonly shape?: Partial<LaunchShape> | undefined;
  /** On the emulator: runs no more than about this many blocks, for counters alone. */
  readonly blocks?: number | undefined;
  /** Told what is being done, when that may take seconds. */
  readonly onStage?: ((stage: string) => void) | undefined;
}

/** What is known of one of the two kernels. */
export interface ComparedKernel {
  readonly file: string;
  /** As launched: fewer blocks than the whole launch has with `blocks`. */
  readonly shape: LaunchShape;
  /** Per thread. */
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
  /** Of a block, static and dynamic. */
  readonly sharedBytes: number;
  readonly occupancy: Occupancy;
  /** What the emulator's sanitiser found; empty on a GPU. */
  readonly findings: readonly Finding[];
  /** Of the emulator; absent where a fault ended the run. */
  readonly counters?: KernelCounters | undefined;
}

/** `kernel.cu` against `reference.cu`. */
export interface KernelComparison {
  readonly entry: string;
  readonly arch: string;
  /** `emulator`, or the GPU's name. */
  readonly device: string;
  readonly launch: Omit<LaunchSpec, "args"> & {
    /** From 1. */
    readonly number: number;
    /** Kinds of launches of the kernel. */
    readonly of: number;
  };
  /** Tokens in the caches. */
  readonly context: number;
  readonly edited: ComparedKernel;
  readonly reference: ComparedKernel;
  /** Every buffer the kernel writes; absent when not all blocks ran or a fault ended a run. */
  readonly results?: readonly BufferComparison[] | undefined;
  readonly tolerance: number;
  /** Of a GPU. */
  readonly times?: TimeComparison | undefined;
  /**
   * `same`: the same bits; `within`: nearer than the tolerance; `different`; `findings`: one of the
   * kernels did something wrong; `not compared`: not all blocks ran.
   */
  readonly verdict: "same" | "within" | "different" | "findings" | "not compared";
}

/**
 * Compiles both kernels of a folder, runs one launch of each on the same made-up operands, and
 * compares what they did.
 * @throws HydrantError for what cannot be read, compiled or run; CompileError (with `details`) for
 *   source that does not compile.
 */
export async function compareKernel(options: CompareKernelOptions): Promise<KernelComparison> {
  const { device = "emulator", launch: number = 1, temperature = 0.8, seed = 0 } = options;
  const folder = await readKernelFolder(options.folder);
  const { spec } = folder;
  const launch = chooseLaunch(folder, number);
  const context = chooseContextLength(spec, launch, options.context);
  const usual: LaunchShape = { ...pickShape(spec), grid: launch.grid };
  const shapes = { reference: usual, edited: { ...usual, ...options.shape } };
  const values = (): ReadonlyMap<number, Content> =>
    launchValues(spec, launch, { context, temperature, seed });
  const run =
    device === "emulator"
      ? await onEmulator(folder, launch, shapes, values, options)
      : await onGpu(folder, launch, shapes, values, options);
  const { after } = run;
  const tolerance = options.tolerance ?? 0;
  const results = after === undefined ? undefined : compareOutcomes(launch, after);
  const { args: _, ...shown } = launch;
  return {
    entry: spec.entry,
    arch: spec.arch,
    device: run.device,
    launch: { ...shown, number, of: spec.launches.length },
    context,
    edited: run.edited,
    reference: run.reference,
    results,
    tolerance,
    times: run.times,
    verdict: verdictOf(run, results, tolerance),
  };
}

interface Run {
  readonly device: string;
  readonly edited: ComparedKernel;
  readonly reference: ComparedKernel;
  readonly after?: { readonly edited: Outcome; readonly reference: Outcome } | undefined;
  readonly times?: TimeComparison | undefined;
}

interface Shapes {
  readonly edited: LaunchShape;
  readonly reference: LaunchShape;
}

const pickShape = ({ threads, dynamicSharedBytes }: KernelSpec) => ({
  threads,
  dynamicSharedBytes,
});

async function onEmulator(
  folder: KernelFolder,
  launch: LaunchSpec,
  whole: Shapes,
  values: () => ReadonlyMap<number, Content>,
  { seed = 0, blocks, onStage }: CompareKernelOptions,
): Promise<Run> {
  const { spec } = folder;
  const part = (shape: LaunchShape): LaunchShape =>
    blocks === undefined ? shape : { ...shape, grid: firstBlocks(spec, shape.grid, blocks) };
  const shapes = { edited: part(whole.edited), reference: part(whole.reference) };
  onStage?.("compiling");
  const images = compileFolder(openNvrtc(), folder, shapes);
  onStage?.("making operands");
  const content = values();
  onStage?.("running reference.cu");
  const reference = await runEmulated(spec, launch, images.reference, content, seed);
  // One text does one thing: the emulator is deterministic.
  const isSame = folder.edited === folder.reference && sameShape(shapes.edited, shapes.reference);
  if (!isSame) onStage?.("running kernel.cu");
  const edited = isSame ? reference : await runEmulated(spec, launch, images.edited, content, seed);
  const isWhole =
    sameShape(shapes.edited, whole.edited) && sameShape(shapes.reference, whole.reference);
  return {
    device: "emulator",
    edited: { ...describe(spec, images.edited), ...pick(edited) },
    reference: { ...describe(spec, images.reference), ...pick(reference) },
    after:
      isWhole && edited.after !== undefined && reference.after !== undefined
        ? { edited: edited.after, reference: reference.after }
        : undefined,
  };
}

function sameShape(a: LaunchShape, b: LaunchShape): boolean {
  return (
    a.grid.every((extent, axis) => extent === b.grid[axis]) &&
    a.threads === b.threads &&
    a.dynamicSharedBytes === b.dynamicSharedBytes
  );
}

const pick = ({ findings, counters }: Pick<ComparedKernel, "findings" | "counters">) => ({
  findings,
  counters,
});

async function onGpu(
  folder: KernelFolder,
  launch: LaunchSpec,
  shapes: Shapes,
  values: () => ReadonlyMap<number, Content>,
  { rounds = 20, blocks, onStage }: CompareKernelOptions,
): Promise<Run> {
  if (blocks !== undefined) {
    throw new HydrantError("kernel/blocks", "On a GPU all blocks run.", {
      path: `--blocks ${blocks}`,
      hint: "Use it with --device emulator, for kernels that take long there.",
    });
  }
  const { spec } = folder;
  onStage?.("compiling and measuring");
  const run = await runOnGpu(folder, launch, shapes, values(), rounds);
  return {
    device: run.device,
    edited: { ...describe(spec, run.images.edited), findings: [] },
    reference: { ...describe(spec, run.images.reference), findings: [] },
    after: run.after,
    times: run.times,
  };
}

function describe(
  { arch }: KernelSpec,
  { path, resources, shape }: KernelImage,
): Omit<ComparedKernel, "findings" | "counters"> {
  const { registers, spillBytes, stackBytes } = resources;
  const { threads, dynamicSharedBytes } = shape;
  const sharedBytes = resources.sharedBytes + dynamicSharedBytes;
  return {
    file: path,
    shape,
    registers,
    spillBytes,
    stackBytes,
    sharedBytes,
    occupancy: occupancy({ threads, registers, sharedBytes }, gpuLimits(arch)),
  };
}

/** At most about `blocks` blocks from the first on, in whole rows of the grid and whole clusters. */
export function firstBlocks(
  { cluster = [1, 1, 1] }: Pick<KernelSpec, "cluster">,
  grid: LaunchSpec["grid"],
  blocks: number,
): LaunchSpec["grid"] {
  let left = blocks;
  const [x, y, z] = ([0, 1, 2] as const).map((axis) => {
    const step = cluster[axis];
    const extent = Math.min(grid[axis], Math.max(step, Math.floor(left / step) * step));
    left = Math.max(1, Math.floor(left / extent));
    return extent;
  });
  return [x ?? 1, y ?? 1, z ?? 1];
}

function compareOutcomes(
  launch: LaunchSpec,
  { edited, reference }: NonNullable<Run["after"]>,
): BufferComparison[] {
  const buffers = launchBuffers(launch);
  const results = [...reference.buffers].map(([id, before]) => {
    const known = buffers.get(id);
    const about = {
      name: known?.names.at(-1) ?? "",
      label: known?.buffer.label ?? "",
      dtype: known?.buffer.dtype ?? "i32",
    };
    return compareBuffer(about, edited.buffers.get(id) ?? new Uint8Array(0), before);
  });
  if (reference.ring === undefined || edited.ring === undefined) return results;
  const ring = { name: "ring", label: "outputs", dtype: "bytes" } as const;
  return [...results, compareBuffer(ring, edited.ring, reference.ring)];
}

function verdictOf(
  { edited, reference }: Run,
  results: readonly BufferComparison[] | undefined,
  tolerance: number,
): KernelComparison["verdict"] {
  if (edited.findings.length + reference.findings.length > 0) return "findings";
  if (results === undefined) return "not compared";
  if (results.every(({ differing }) => differing === 0)) return "same";
  return results.every((result) => isWithin(result, tolerance)) ? "within" : "different";
}
