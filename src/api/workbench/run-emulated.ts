import { basename, join } from "node:path";
import type {
  EmulatorOptions,
  Finding,
  KernelCounters,
} from "../../../runtime/driver/instrumented-driver.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import type { KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import { type KernelImage, loadImage } from "./kernel-image.ts";
import { LaunchMemory } from "./launch-memory.ts";
import { type Content, launchBuffers } from "./launch-values.ts";

export interface EmulatedRun {
  /** What the sanitiser found, with files as the user names them. */
  readonly findings: readonly Finding[];
  /** Absent when a fault ended the run. */
  readonly counters?: KernelCounters | undefined;
  /** Content of the buffers that are written, by id, and of the ring; absent when a fault ended it. */
  readonly after?: Outcome | undefined;
}

export interface Outcome {
  readonly buffers: ReadonlyMap<number, Uint8Array>;
  readonly ring?: Uint8Array | undefined;
}

/** Runs one launch of a compiled kernel on an emulated device of its own, watched. */
export async function runEmulated(
  spec: KernelSpec,
  launch: LaunchSpec,
  image: KernelImage,
  values: ReadonlyMap<number, Content>,
  seed: number,
): Promise<EmulatedRun> {
  const driver = await openDriver("emulator", emulatorOptions(spec, launch, seed));
  try {
    const device = driver.deviceGet(0);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    const loaded = loadImage(driver, spec, image);
    const memory = new LaunchMemory(driver, spec, launch, values);
    const stream = driver.streamCreate();
    let after: Outcome | undefined;
    try {
      driver.launch(memory.kernelLaunch(loaded), stream);
      driver.streamSynchronize(stream);
      after = readOutcome(memory, launch);
    } catch (error) {
      // A fault that has been explained is a result, not a failure of this program.
      if (driver.findings().length === 0) throw error;
    }
    const findings = driver.findings().map((finding) => showPath(finding, image.path));
    const counters = after === undefined ? undefined : driver.counters();
    memory.release();
    return { findings, counters, after };
  } finally {
    driver.close();
  }
}

/** Everything a launch leaves that others may read. */
export function readOutcome(memory: LaunchMemory, launch: LaunchSpec): Outcome {
  const buffers = new Map<number, Uint8Array>();
  for (const [id, { access, isWorkspace }] of launchBuffers(launch))
    if (access !== "read" && !isWorkspace) buffers.set(id, memory.read(id));
  return { buffers, ring: memory.readRing() };
}

/** Room beside the buffers: alignment, variables of modules. */
const spareBytes = 64 * 2 ** 20;

function emulatorOptions(spec: KernelSpec, launch: LaunchSpec, seed: number): EmulatorOptions {
  const capability = Number(/\d+/.exec(spec.arch)?.[0] ?? 80);
  const bytes = [...launchBuffers(launch).values()].reduce(
    (sum, { buffer }) => sum + Math.ceil(buffer.bytes / 256 + 1) * 256,
    0,
  );
  return {
    computeCapability: capability > 80 ? "9.0" : "8.0",
    seed,
    memoryBytes: Math.max(2 ** 28, bytes + spec.ring.slots * spec.ring.slotBytes + spareBytes),
  };
}

/** Line tables hold absolute paths. */
function showPath(finding: Finding, path: string): Finding {
  const isOurs = finding.file !== null && basename(finding.file) === basename(path);
  return isOurs ? { ...finding, file: join(path) } : finding;
}
