import type { CudaDevice } from "../../../runtime/cuda/device.ts";
import type { KernelLaunch } from "../../../runtime/driver/driver.ts";
import type { InstrumentedDriver } from "../../../runtime/driver/instrumented-driver.ts";
import type { CompiledModule } from "../../../runtime/nvrtc/compile.ts";
import { invariant } from "../../util/errors.ts";
import { loadImage } from "../workbench/kernel-image.ts";
import { LaunchMemory } from "../workbench/launch-memory.ts";
import { launchBuffers, launchValues } from "../workbench/launch-values.ts";
import { timeByTurns } from "../workbench/measure-launches.ts";
import { memoriesFor } from "../workbench/run-gpu.ts";
import { shareBuffers, type TunableKernel } from "./variants.ts";

/** Where kernels are measured. */
export interface TuningDevice {
  readonly device: CudaDevice;
  readonly ordinal: number;
  /** The device's driver, where it counts. */
  readonly emulator: InstrumentedDriver | undefined;
}

/** What became of each variant, in their order. */
export interface MeasuredVariant {
  /** By round; none for one that was refused. */
  readonly times: readonly number[];
  readonly refused?: string | undefined;
}

/** Tokens in the caches: what products write goes behind them. */
const context = 100;

/**
 * Runs every variant of a kernel on the same operands, then times those by turns that leave the same
 * bits as the first. On a GPU the operands are in as many places as it takes for none to be found in
 * the L2 cache; on the emulator a launch is run once, and its time is the instructions of warps, with
 * one for every bank conflict.
 * @throws CudaError when the device has too little memory, or fails.
 */
export function measureVariants(
  { device, ordinal, emulator }: TuningDevice,
  { variants }: TunableKernel,
  modules: readonly CompiledModule[],
  rounds: number,
): readonly MeasuredVariant[] {
  const { driver } = device;
  const [first] = variants;
  invariant(first !== undefined, "a kernel has a usual configuration");
  const { launches, union } = shareBuffers(variants.map(({ launch }) => launch));
  const values = launchValues(first.spec, union, { context, temperature: 0, seed: 1 });
  const outputs = [...launchBuffers(union)].filter(
    ([, { access, isWorkspace }]) => access !== "read" && !isWorkspace,
  );
  const loaded = variants.map(({ kernel, spec, launch }, index) => {
    const module = modules[index];
    invariant(module !== undefined, "every variant was compiled");
    const resources = module.resources[kernel.entry];
    const shape = {
      grid: launch.grid,
      threads: kernel.threads,
      dynamicSharedBytes: kernel.sharedBytes,
    };
    const spills = resources?.spillBytes ?? 0;
    return {
      launch: launches[index] ?? launch,
      refused: spills > 0 && index > 0 ? `it spills ${spills} bytes` : undefined,
      ...loadImage(driver, spec, { module, shape }),
    };
  });
  const memories: LaunchMemory[] = [];
  const stream = driver.streamCreate();
  try {
    const memory = new LaunchMemory(driver, first.spec, union, values);
    memories.push(memory);
    /** What a variant leaves in fresh outputs. */
    const outcome = (index: number): readonly Uint8Array[] => {
      const one = loaded[index];
      invariant(one !== undefined, "a variant is loaded");
      for (const [id] of outputs) memory.fill(id, values.get(id) ?? "unwritten");
      driver.launch(memory.kernelLaunch(one, one.launch), stream);
      driver.streamSynchronize(stream);
      return outputs.map(([id]) => memory.read(id));
    };
    const counts: number[] = [];
    const wanted = outcome(0);
    const refused = loaded.map((one, index) => {
      if (one.refused !== undefined) return one.refused;
      const before = work(emulator);
      const found = outcome(index);
      counts[index] = work(emulator) - before;
      const same = found.every((bytes, i) => Buffer.compare(bytes, wanted[i] ?? bytes) === 0);
      return same ? undefined : "its results differ: this is a bug, please report it";
    });
    if (emulator !== undefined) {
      return refused.map((reason, index) =>
        reason === undefined ? { times: [counts[index] ?? 0] } : { times: [], refused: reason },
      );
    }
    const total = memoriesFor(driver, driver.deviceGet(ordinal), memory.bytes);
    while (memories.length < total)
      memories.push(new LaunchMemory(driver, first.spec, union, values));
    const timed = loaded.flatMap((one, index) => (refused[index] === undefined ? [one] : []));
    const times = timeByTurns(
      driver,
      timed.map((one): readonly KernelLaunch[] =>
        memories.map((each) => each.kernelLaunch(one, one.launch)),
      ),
      rounds,
    ).values();
    return refused.map((reason) =>
      reason === undefined ? { times: times.next().value ?? [] } : { times: [], refused: reason },
    );
  } finally {
    for (const memory of memories) memory.release();
    device.release(() => driver.streamDestroy(stream));
    for (const { module } of loaded) device.release(() => driver.moduleUnload(module));
  }
}

function work(emulator: InstrumentedDriver | undefined): number {
  if (emulator === undefined) return 0;
  const { laneInstructions, sharedBankConflicts } = emulator.counters();
  return Math.round(laneInstructions / 32) + sharedBankConflicts;
}
