import { compileStages } from "../../codegen/compile.ts";
import { describeProgram } from "../../src/api/inspect/describe-program.ts";
import { usesTensorCores } from "../../src/api/inspect/model-time.ts";
import { describeSubject, type SubjectOptions } from "../../src/api/inspect/subject.ts";
import { type Phase, phases, phasesOf } from "../../src/explorer/model/phases.ts";
import type {
  GpuLimits,
  InspectedBuffer,
  InspectedLaunch,
} from "../../src/inspection/inspection.ts";
import { invariant } from "../../src/util/errors.ts";
import { dependencyDepths } from "./dependency-depth.ts";

/** What of a step is modelled, and with which limits. */
export interface StepOptions
  extends Pick<SubjectOptions, "shape" | "model" | "heads" | "tree" | "arch"> {
  /** Tokens committed before the step. */
  readonly context: number;
  /** In place of the published peaks. */
  readonly limits?: Partial<Pick<GpuLimits, "bandwidth" | "matrixRate" | "launchGap">> | undefined;
}

/** What launches move, compute and take: bytes, operations, microseconds. */
export interface StepWork {
  readonly launches: number;
  /** The longest chain of launches among them, each reading what the one before wrote. */
  readonly depth: number;
  readonly weightBytes: number;
  /** Keys and values that attention reads, at this context. */
  readonly cacheBytes: number;
  /** Everything else read and written. */
  readonly otherBytes: number;
  readonly flops: number;
  readonly time: number;
  /** Of `time`, what launches take that are shorter than the gap between kernels. */
  readonly gapTime: number;
}

/** One line of the model: an op of a phase, or a depth of the draft. */
export interface StepPart extends StepWork {
  readonly phase: Phase;
  readonly name: string;
}

export interface StepAnalysis {
  readonly heads: string;
  /** Nodes of the tree. */
  readonly nodes: number;
  readonly context: number;
  readonly gpu: GpuLimits;
  /** In the order in which they first run. */
  readonly parts: readonly StepPart[];
  readonly total: StepWork;
}

/**
 * The model of a step, by phase: every byte of an operand counted once per launch, every launch no
 * faster than the limits allow, nothing overlapped. Caches count as full as the context is.
 * @throws HydrantError for unknown names.
 */
export async function analyseStep({
  context,
  limits,
  ...options
}: StepOptions): Promise<StepAnalysis> {
  const subject = await describeSubject(options);
  const { graph, target, tree, drafter } = subject;
  invariant(tree !== undefined, "a step has a tree");
  const gpu: GpuLimits = { ...subject.gpu, ...limits };
  // A program's traffic is that of full caches: here they hold the context and the step's nodes.
  const compilation = compileStages(graph, { capacity: context + tree.size }, target);
  const { launches, kernels, buffers } = describeProgram(compilation, {
    gpu,
    kernels: compilation.program.kernels.map((kernel) => ({ kernel, cuda: "" })),
    compiled: new Map(),
  });
  const depths = dependencyDepths(launches, buffers);
  const phaseOf = phasesOf({ launches, kernels });
  const names = partNames(launches, phaseOf);
  const groups = new Map<string, { phase: Phase; name: string; indices: number[] }>();
  for (const [index, phase] of phaseOf.entries()) {
    const name = names[index] ?? "";
    const key = `${phase} ${name}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { phase, name, indices: [index] });
    else known.indices.push(index);
  }
  const worksOn = (indices: readonly number[]): StepWork => {
    const some = indices.flatMap((index) => launches[index] ?? []);
    return { ...sumWork(some, buffers, kernels, gpu), depth: longestChain(indices, depths) };
  };
  return {
    heads: drafter.maxDepth === 0 ? "none" : drafter.name,
    nodes: tree.size,
    context,
    gpu,
    parts: [...groups.values()]
      .map(({ phase, name, indices }) => ({ phase, name, ...worksOn(indices) }))
      .sort((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase)),
    total: worksOn(launches.map((_, index) => index)),
  };
}

/** Several parts as one, as if one after another. */
export function sumParts(parts: readonly StepWork[]): StepWork {
  const sum = (of: (part: StepWork) => number) => parts.reduce((all, part) => all + of(part), 0);
  return {
    launches: sum(({ launches }) => launches),
    depth: sum(({ depth }) => depth),
    weightBytes: sum(({ weightBytes }) => weightBytes),
    cacheBytes: sum(({ cacheBytes }) => cacheBytes),
    otherBytes: sum(({ otherBytes }) => otherBytes),
    flops: sum(({ flops }) => flops),
    time: sum(({ time }) => time),
    gapTime: sum(({ gapTime }) => gapTime),
  };
}

/** What keeps work from being faster: bytes, operations, or the gap between kernels. */
export function boundOf(work: StepWork, gpu: GpuLimits): "memory" | "math" | "launch" {
  if (work.gapTime > work.time / 2) return "launch";
  const bytes = work.weightBytes + work.cacheBytes + work.otherBytes;
  return bytes / gpu.bandwidth >= work.flops / gpu.matrixRate ? "memory" : "math";
}

function sumWork(
  launches: readonly InspectedLaunch[],
  buffers: readonly InspectedBuffer[],
  kernels: readonly { readonly family: string; readonly generated: string }[],
  gpu: GpuLimits,
): Omit<StepWork, "depth"> {
  const sum = (of: (launch: InspectedLaunch) => number) =>
    launches.reduce((all, launch) => all + of(launch), 0);
  const cached = (launch: InspectedLaunch) =>
    kernels[launch.kernel]?.family === "attention" ? cacheBytes(launch, buffers) : 0;
  const cache = sum(cached);
  return {
    launches: launches.length,
    weightBytes: sum(({ weightBytes }) => weightBytes),
    cacheBytes: cache,
    otherBytes: sum(({ readBytes, writtenBytes }) => readBytes + writtenBytes) - cache,
    flops: sum(({ flops }) => flops),
    time: sum(({ modelled }) => modelled),
    gapTime: sum((launch) => {
      const { weightBytes, readBytes, writtenBytes, flops, modelled } = launch;
      const source = kernels[launch.kernel]?.generated ?? "";
      const rate = usesTensorCores({ source }) ? gpu.matrixRate : gpu.vectorRate;
      const bytes = weightBytes + readBytes + writtenBytes;
      return Math.max(bytes / gpu.bandwidth, flops / rate) * 1e6 < gpu.launchGap ? modelled : 0;
    }),
  };
}

/** Caches are the states that attention reads by table or pointer, slot by slot. */
function cacheBytes({ args }: InspectedLaunch, buffers: readonly InspectedBuffer[]): number {
  return args
    .filter(({ name }) => name === "keys" || name === "values")
    .flatMap(({ buffers: ids = [] }) => ids)
    .reduce((bytes, id) => bytes + (buffers[id]?.bytes ?? 0), 0);
}

/** The longest chain of these launches: no more than the depths there are among them. */
function longestChain(indices: readonly number[], depths: readonly number[]): number {
  return new Set(indices.map((index) => depths[index])).size;
}

/** Drafts by depth, everything else by its first op, whatever the layer. */
function partNames(
  launches: readonly InspectedLaunch[],
  phaseOf: readonly Phase[],
): readonly string[] {
  let depth = "";
  return launches
    .map(({ label }, index) => ({ label, index }))
    .reverse()
    .map(({ label, index }) => {
      const [first = ""] = label.split(" + ");
      // What prepares a depth's inputs comes before it and has no name of its own.
      const found = /^draft\.(\d+)\b/.exec(first)?.[1];
      if (phaseOf[index] === "draft") {
        if (found !== undefined) depth = `depth ${Number(found) + 1}`;
        return depth;
      }
      if (/^commit of/.test(first)) return "caches";
      return first.slice(first.lastIndexOf(".") + 1);
    })
    .reverse();
}
