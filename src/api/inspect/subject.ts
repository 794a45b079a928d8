import { readFile } from "node:fs/promises";
import type { GpuLimits } from "../../inspection/inspection.ts";
import type { FloatDType } from "../../ir/dtype.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Target } from "../../ir/program.ts";
import type { DimBindings } from "../../ir/shape.ts";
import { buildPrefill, buildStep } from "../../models/decode-graphs.ts";
import type { BaseModel } from "../../models/llama.ts";
import type { Drafter } from "../../speculation/drafter.ts";
import { namedTree } from "../../speculation/named-trees.ts";
import { checkDepth, rootOnly, type TreeTopology, truncateDepth } from "../../speculation/tree.ts";
import { parseTreeJson } from "../../speculation/tree-json.ts";
import { HydrantError } from "../../util/errors.ts";
import { resolveModelPath } from "../../weights/hub.ts";
import type { TensorFile } from "../../weights/tensor-file.ts";
import { chooseContext } from "../context-length.ts";
import { describeModel, openCheckpoints } from "../open-checkpoints.ts";
import { checkPrecision, type Precision } from "../open-device.ts";
import { describeSynthetic } from "../synthetic-model.ts";
import { capabilityOf, gpuLimits } from "./gpu-limits.ts";

/** What is looked at: a model with heads, what it does, and the GPU it does it on. */
export interface SubjectOptions {
  /** Model folder or hub id. Of the weights, names and types are read and nothing else. */
  readonly model?: string | undefined;
  /** … or the name of a published shape, in place of a model: `vicuna-7b`. */
  readonly shape?: string | undefined;
  /**
   * Draft heads: a folder or hub id beside a model; `hydra++`, `hydra` or `medusa` beside a shape;
   * `none`. Default: none with a model, `hydra++` with a shape.
   */
  readonly heads?: string | undefined;
  /**
   * A tree's name, or the path of a JSON file with a list of paths. Default `mc_sim_7b_63` with heads,
   * as deep as they go.
   */
  readonly tree?: string | undefined;
  /** `step` (default) drafts, verifies, accepts and commits; `prefill` absorbs a prompt. */
  readonly graph?: "step" | "prefill" | undefined;
  /** Architecture to generate for: `sm_80`, `sm_86`, `sm_89`, `sm_90`, `sm_90a`, which is the default. */
  readonly arch?: string | undefined;
  /** Streaming multiprocessors of the GPU; default the usual number of the architecture. */
  readonly multiprocessors?: number | undefined;
  readonly precision?: Precision | undefined;
  /** Tokens the caches have room for; as in `loadModel`. */
  readonly contextLength?: number | undefined;
  /** Rows of the prefill; default 512. */
  readonly rows?: number | undefined;
}

export interface Subject {
  readonly base: BaseModel;
  readonly drafter: Drafter;
  /** The tree of a step; absent for a prefill. */
  readonly tree: TreeTopology | undefined;
  readonly graph: Graph;
  /** Extents of the graph's symbols. */
  readonly dims: DimBindings;
  readonly target: Target;
  readonly gpu: GpuLimits;
}

/**
 * The graph that is looked at, and all it is compiled for.
 * @throws HydrantError for what cannot be read and for unknown names.
 */
export async function describeSubject(options: SubjectOptions): Promise<Subject> {
  const { arch = "sm_90a", multiprocessors, precision, graph = "step", rows = 512 } = options;
  const gpu = gpuLimits(arch, multiprocessors);
  const { base, drafter } = await describeWeights(options);
  const contextLength = chooseContext(options.contextLength, base.config);
  const tree = await chooseTree(options.tree, drafter);
  const capacity = contextLength + Math.max(tree.size, 64);
  const target: Target = {
    capability: capabilityOf(arch),
    arch,
    // Kernels do not depend on it; this is the oldest that knows the architecture.
    nvrtcMajor: /\d$/.test(arch) && capabilityOf(arch) <= 90 ? 11 : 12,
    multiprocessors: gpu.multiprocessors,
    activations: precision === "f32" ? "f32" : "stored",
  };
  const common = { base, drafter, target, gpu };
  switch (graph) {
    case "step":
      return { ...common, tree, graph: buildStep(base, drafter, tree), dims: { capacity } };
    case "prefill":
      return {
        ...common,
        tree: undefined,
        graph: buildPrefill(base, drafter),
        dims: { capacity, rows },
      };
    default:
      return graph satisfies never;
  }
}

async function describeWeights(
  options: SubjectOptions,
): Promise<{ base: BaseModel; drafter: Drafter }> {
  const { model, shape, heads, precision } = options;
  checkPrecision(precision);
  const cacheType = (weights: FloatDType) => (precision === "f32" ? "f32" : weights);
  if ((model === undefined) === (shape === undefined)) {
    throw new HydrantError("inspect/input", "There is not exactly one of a model and a shape.", {
      hint: "Give a model folder or hub id, or the name of a shape such as vicuna-7b.",
    });
  }
  if (shape !== undefined) return describeSynthetic(shape, headsOfShape(heads), cacheType);
  const opened: TensorFile[] = [];
  try {
    const dir = await resolveModelPath(model ?? "", "model", {});
    const headsDir =
      heads === undefined || heads === "none"
        ? undefined
        : await resolveModelPath(heads, "heads", {});
    return describeModel(await openCheckpoints(dir, headsDir, opened), cacheType);
  } finally {
    await Promise.all(opened.map((file) => file.close()));
  }
}

const headsOfShape = (heads = "hydra++"): string | undefined =>
  heads === "none" ? undefined : heads;

async function chooseTree(name: string | undefined, drafter: Drafter): Promise<TreeTopology> {
  if (name?.endsWith(".json") === true)
    return checkDepth(parseTreeJson(await readTree(name), name), drafter.maxDepth);
  if (name !== undefined) return checkDepth(namedTree(name), drafter.maxDepth);
  return drafter.maxDepth === 0
    ? rootOnly
    : truncateDepth(namedTree("mc_sim_7b_63"), drafter.maxDepth);
}

async function readTree(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new HydrantError("tree/file", "The tree cannot be read.", {
      path: file,
      hint: "A tree is a published name, or a JSON file with a list of paths.",
      cause: error,
    });
  }
}
