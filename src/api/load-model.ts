import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Executor, LoadedWeights } from "../../runtime/executor.ts";
import { noDrafter } from "../drafters/none.ts";
import { drafterFor, unusedHeadTensors } from "../drafters/registry.ts";
import type { EagleMask } from "../drafters/eagle-attn.ts";
import { isDType, isFloat } from "../ir/dtype.ts";
import {
  type ModelConfig,
  mergeGenerationConfig,
  parseGenerationConfig,
  parseModelConfig,
} from "../models/config.ts";
import { buildPrefill, buildStep } from "../models/decode-graphs.ts";
import { parseHeadsConfig } from "../models/heads-config.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { namedTree } from "../speculation/named-trees.ts";
import { rootOnly } from "../speculation/tree.ts";
import { loadChatTemplate } from "../text/chat-template.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { HydrantError } from "../util/errors.ts";
import { bindTensors } from "../weights/bind.ts";
import { openCheckpoint, openHeads } from "../weights/checkpoint.ts";
import { readJsonFile } from "../weights/json-file.ts";
import { type HubProgress, resolveModelPath } from "../weights/hub.ts";
import type { TensorFile } from "../weights/tensor-file.ts";
import { type OpenDevice, openDevice, type Precision } from "./open-device.ts";
import { Model } from "./model.ts";
import {
  type CheckpointSource,
  expectedTensors,
  headsPrefix,
  parameterSource,
} from "./parameter-source.ts";

export interface LoadOptions {
  /** Folder, file or hub id of draft heads; plain decoding without. */
  readonly heads?: string | undefined;
  /**
   * `auto` (default) takes a usable GPU, else the CPU; `cuda`, `cuda:1`; `cpu`; `emulator` (the GPU's
   * kernels without a GPU, slow); `interpreter` (the slow reference).
   */
  readonly device?: string | undefined;
  /** `f32` keeps activations and caches of 16-bit models in f32 on a GPU; default `auto`. */
  readonly precision?: Precision | undefined;
  /** CPU threads; default: as many as the weights are worth. */
  readonly threads?: number | undefined;
  /** Tokens to make room for; default the model's limit, at most 4096. */
  readonly contextLength?: number | undefined;
  /** For eagle-attn heads: `reference` reproduces the original's traces. Default `ancestors`. */
  readonly eagleMask?: EagleMask | undefined;
  /** Hears of downloads from the hub. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const defaultContext = 4096;

/** Its type is taken for the model's. */
const typicalWeight = "model.layers.0.self_attn.k_proj.weight";

/**
 * Loads a model, and draft heads beside it, onto a device.
 * @param model a Hugging Face model folder, or a hub id (`org/name`, `org/name@revision`).
 * @throws HydrantError naming file and tensor for anything that is missing, malformed or unsupported.
 */
export async function loadModel(model: string, options: LoadOptions = {}): Promise<Model> {
  const { heads, onProgress, signal } = options;
  signal?.throwIfAborted();
  const resolve = { signal, ...(onProgress && { progress: onProgress }) };
  const dir = await resolveModelPath(model, "model", resolve);
  const headsDir =
    heads === undefined ? undefined : await resolveModelPath(heads, "heads", resolve);
  const opened: TensorFile[] = [];
  try {
    const config = await readConfig(dir);
    const file = await openCheckpoint(dir);
    opened.push(file);
    const openedHeads = headsDir === undefined ? undefined : await openHeads(headsDir);
    if (openedHeads !== undefined) opened.push(openedHeads.weights);
    const device = await openDevice(options.device ?? "auto", options);
    try {
      return await loadOnto(device, { dir, config, file, heads: openedHeads }, options);
    } catch (error) {
      await device.executor.dispose();
      throw error;
    }
  } finally {
    await Promise.all(opened.map((file) => file.close()));
  }
}

interface OpenCheckpoints {
  readonly dir: string;
  readonly config: ModelConfig;
  readonly file: TensorFile;
  readonly heads: Awaited<ReturnType<typeof openHeads>> | undefined;
}

async function loadOnto(
  { executor, cacheType, prefillRows }: OpenDevice,
  { dir, config, file, heads }: OpenCheckpoints,
  options: LoadOptions,
): Promise<Model> {
  const typeOfWeight = storedType(file, heads?.weights);
  const base: BaseModel = {
    config,
    storedType: typeOfWeight,
    cacheType: cacheType(typeOfWeight(typicalWeight)),
  };
  const headsConfig = heads && parseHeadsConfig(heads.config, heads.configFile, heads.kind);
  if (headsConfig?.kind === "hydra" && headsConfig.hiddenStateOffset > config.layers) {
    throw new HydrantError(
      "config/bad-field",
      `Field hidden_state_offset is ${headsConfig.hiddenStateOffset}, but the model has ${config.layers} layers.`,
      { path: `${heads?.configFile}: hidden_state_offset` },
    );
  }
  const drafter =
    heads && headsConfig
      ? drafterFor(base, headsConfig, heads.weights.tensors.keys(), {
          eagleMask: options.eagleMask,
        })
      : noDrafter();

  const needed = expectedTensors([
    buildPrefill(base, drafter),
    buildStep(base, drafter, deepestTree(drafter)),
  ]);
  const source = parameterSource(
    { file, tensors: bindTensors(needed.base, file, { ignore: unusedBaseTensors(config) }) },
    heads &&
      headsConfig && {
        file: heads.weights,
        tensors: bindTensors(needed.heads, heads.weights, {
          ignore: unusedHeadTensors(headsConfig),
        }),
      },
  );

  const contextLength = chooseContext(options.contextLength, config);
  const tokenizer = await loadTokenizer(dir);
  const chatTemplate = tokenizer && (await loadChatTemplate(dir, { tokenizer, names: [dir] }));
  return new Model({
    base,
    drafter,
    executor,
    weights: await loadWeights(executor, source, options.signal),
    tokenizer,
    chatTemplate,
    contextLength,
    prefillRows,
  });
}

/** An executor knows parameters by their names in the graph; its errors get the file's. */
async function loadWeights(
  executor: Executor,
  source: CheckpointSource,
  signal: AbortSignal | undefined,
): Promise<LoadedWeights> {
  try {
    return await executor.load(source, signal);
  } catch (error) {
    if (!(error instanceof HydrantError) || error.path === undefined) throw error;
    const origin = source.origin(error.path);
    if (origin === undefined) throw error;
    const { code, message, hint } = error;
    throw new HydrantError(code, message, {
      path: `${origin.file}: ${origin.name}`,
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}

/** The model's settings, with what generation_config.json, if there is one, adds. */
async function readConfig(dir: string): Promise<ModelConfig> {
  const file = join(dir, "config.json");
  const config = parseModelConfig(await readJsonFile(file), file);
  const generation = join(dir, "generation_config.json");
  if (!existsSync(generation)) return config;
  return mergeGenerationConfig(
    config,
    parseGenerationConfig(await readJsonFile(generation), generation),
  );
}

function chooseContext(asked: number | undefined, { maxPositions }: ModelConfig): number {
  if (asked === undefined) return Math.min(maxPositions, defaultContext);
  if (!Number.isSafeInteger(asked) || asked < 1 || asked > maxPositions) {
    throw new HydrantError("load/context", `A context of ${asked} tokens was asked for.`, {
      hint: `This model takes 1 to ${maxPositions}.`,
    });
  }
  return asked;
}

/** A parameter the checkpoint lacks is taken for f32 here; binding reports it with all others. */
function storedType(base: TensorFile, heads: TensorFile | undefined): BaseModel["storedType"] {
  return (parameter) => {
    const info = parameter.startsWith(headsPrefix)
      ? heads?.tensors.get(parameter.slice(headsPrefix.length))
      : base.tensors.get(parameter);
    return info !== undefined && isDType(info.dtype) && isFloat(info.dtype) ? info.dtype : "f32";
  };
}

/** A tree that touches every head, to learn which tensors are needed. */
function deepestTree(drafter: Drafter) {
  if (drafter.maxDepth === 0) return rootOnly;
  return namedTree(`chain-${Math.min(drafter.maxDepth, 8)}`);
}

function unusedBaseTensors(config: ModelConfig): RegExp[] {
  const tied = config.tieWordEmbeddings ? [/^lm_head\.weight$/] : [];
  return [/rotary_emb\.inv_freq$/, /^medusa_head\./, ...tied];
}
