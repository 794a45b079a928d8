import type { FloatDType } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { printGraph } from "../ir/print.ts";
import { printProgram } from "../ir/program-print.ts";
import type { Program, Target, Traffic } from "../ir/program.ts";
import type { DimBindings } from "../ir/shape.ts";
import { buildPrefill, buildStep } from "../models/decode-graphs.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { namedTree } from "../speculation/named-trees.ts";
import { checkDepth, rootOnly, type TreeTopology, truncateDepth } from "../speculation/tree.ts";
import { HydrantError } from "../util/errors.ts";
import { resolveModelPath } from "../weights/hub.ts";
import type { TensorFile } from "../weights/tensor-file.ts";
import { chooseContext } from "./context-length.ts";
import { describeModel, openCheckpoints } from "./open-checkpoints.ts";
import { checkPrecision, type Precision } from "./open-device.ts";
import { describeSynthetic } from "./synthetic-model.ts";

export const inspectStages = ["graph", "plan", "specs", "cuda"] as const;
export type InspectStage = (typeof inspectStages)[number];

export interface InspectOptions {
  /** Model folder or hub id. Of the weights, names and types are read and nothing else. */
  readonly model?: string | undefined;
  /** … or the name of a published shape, in place of a model: `vicuna-7b`. */
  readonly shape?: string | undefined;
  /** Draft heads: a folder or hub id beside a model; `hydra++`, `hydra` or `medusa` beside a shape. */
  readonly heads?: string | undefined;
  /** A published tree's name; default `mc_sim_7b_63` with heads, as deep as they go. */
  readonly tree?: string | undefined;
  /** `step` (default) drafts, verifies, accepts and commits; `prefill` absorbs a prompt. */
  readonly graph?: "step" | "prefill" | undefined;
  /** Default `plan`. */
  readonly stage?: InspectStage | undefined;
  /** Architecture to generate for; default `sm_90a`. */
  readonly arch?: string | undefined;
  /** Streaming multiprocessors of the GPU; default the usual number of the architecture. */
  readonly multiprocessors?: number | undefined;
  readonly precision?: Precision | undefined;
  /** Tokens the caches have room for; as in `loadModel`. */
  readonly contextLength?: number | undefined;
  /** Rows of the prefill; default 512. */
  readonly rows?: number | undefined;
  /** With stage `cuda`: only kernels whose name or family contains this. */
  readonly kernel?: string | undefined;
  /** With stage `plan`: fold repeated layers; default true. */
  readonly fold?: boolean | undefined;
}

/**
 * What is made of a model on the way to a GPU, as text; needs no GPU, no NVRTC and no weights.
 * @throws HydrantError for what cannot be read, unknown names, and kernels that are not there.
 */
export async function inspect(options: InspectOptions): Promise<string> {
  const { stage = "plan" } = options;
  const { graph, dims } = await describeGraph(options);
  if (stage === "graph") return printGraph(graph);
  const { compileGraph } = await import("../../codegen/compile.ts");
  const program = compileGraph(graph, dims, inspectTarget(options));
  switch (stage) {
    case "plan":
      return printProgram(program, { fold: options.fold ?? true });
    case "specs":
      return printKernels(program);
    case "cuda":
      return printSources(program, options.kernel);
    default:
      return stage satisfies never;
  }
}

/** The graph that is inspected, and the extents of its symbols. */
async function describeGraph(
  options: InspectOptions,
): Promise<{ graph: Graph; dims: DimBindings }> {
  const { base, drafter } = await describe(options);
  const contextLength = chooseContext(options.contextLength, base.config);
  const tree = chooseTree(options.tree, drafter);
  const capacity = contextLength + Math.max(tree.size, 64);
  const { graph = "step", rows = 512 } = options;
  switch (graph) {
    case "step":
      return { graph: buildStep(base, drafter, tree), dims: { capacity } };
    case "prefill":
      return { graph: buildPrefill(base, drafter), dims: { capacity, rows } };
    default:
      return graph satisfies never;
  }
}

async function describe(options: InspectOptions): Promise<{ base: BaseModel; drafter: Drafter }> {
  const { model, shape, heads, precision } = options;
  checkPrecision(precision);
  const cacheType = (weights: FloatDType) => (precision === "f32" ? "f32" : weights);
  if ((model === undefined) === (shape === undefined)) {
    throw new HydrantError("inspect/input", "There is not exactly one of a model and a shape.", {
      hint: "Give a model folder or hub id, or the name of a shape such as vicuna-7b.",
    });
  }
  if (shape !== undefined) return describeSynthetic(shape, heads, cacheType);
  const opened: TensorFile[] = [];
  try {
    const dir = await resolveModelPath(model ?? "", "model", {});
    const headsDir = heads === undefined ? undefined : await resolveModelPath(heads, "heads", {});
    return describeModel(await openCheckpoints(dir, headsDir, opened), cacheType);
  } finally {
    await Promise.all(opened.map((file) => file.close()));
  }
}

function chooseTree(name: string | undefined, drafter: Drafter): TreeTopology {
  if (name !== undefined) return checkDepth(namedTree(name), drafter.maxDepth);
  return drafter.maxDepth === 0
    ? rootOnly
    : truncateDepth(namedTree("mc_sim_7b_63"), drafter.maxDepth);
}

/** Streaming multiprocessors of the usual chip of each architecture. */
const usualMultiprocessors: Readonly<Record<number, number>> = {
  80: 108,
  86: 84,
  89: 128,
  90: 132,
};

function inspectTarget({ arch = "sm_90a", multiprocessors, precision }: InspectOptions): Target {
  const match = /^sm_(\d{2,3})([af]?)$/.exec(arch);
  const capability = Number(match?.[1] ?? 0);
  if (capability < 80) {
    throw new HydrantError("inspect/arch", `There is no code for architecture "${arch}".`, {
      hint: "Use sm_80, sm_86, sm_89, sm_90 or sm_90a.",
    });
  }
  return {
    capability,
    arch,
    // The compilers that know the features of one architecture alone begin with 12.
    nvrtcMajor: match?.[2] === "" && capability <= 90 ? 11 : 13,
    multiprocessors: multiprocessors ?? usualMultiprocessors[capability] ?? 132,
    activations: precision === "f32" ? "f32" : "stored",
  };
}

/** Every kernel with how it is launched and what its launches move in all. */
function printKernels({ kernels, launches }: Program): string {
  const lines = kernels.map(({ entry, family, threads, sharedBytes }) => {
    const own = launches.filter(({ kernel }) => kernel === entry);
    const sum = (field: keyof Traffic) =>
      own.reduce((total, { traffic }) => total + traffic[field], 0);
    const grids = [...new Set(own.map(({ grid }) => grid.join("x")))].join(" ");
    const other = sum("readBytes") + sum("writtenBytes");
    return [
      entry,
      `  ${family}, ${own.length} launches of grid ${grids}, ${threads} threads, ${sharedBytes} B shared`,
      `  weights ${megabytes(sum("weightBytes"))}, other ${megabytes(other)}, ${(sum("flops") / 1e9).toFixed(2)} GFLOP`,
    ].join("\n");
  });
  return `${lines.join("\n")}\n`;
}

function printSources({ kernels }: Program, name: string | undefined): string {
  const chosen = kernels.filter(
    ({ entry, family }) => name === undefined || entry.includes(name) || family.includes(name),
  );
  if (chosen.length === 0) {
    throw new HydrantError("inspect/kernel", `No kernel is called "${name}".`, {
      hint: `There are ${kernels.map(({ entry }) => entry).join(", ")}.`,
    });
  }
  return chosen.map(({ source }) => source).join("\n");
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
