import type { Executor, LoadedWeights } from "../../runtime/executor.ts";
import { unusedHeadTensors } from "../drafters/registry.ts";
import type { EagleMask } from "../drafters/eagle-attn.ts";
import type { ModelConfig } from "../models/config.ts";
import { loadChatTemplate } from "../text/chat-template.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { HydrantError } from "../util/errors.ts";
import { bindTensors } from "../weights/bind.ts";
import { type HubProgress, resolveModelPath } from "../weights/hub.ts";
import type { TensorFile } from "../weights/tensor-file.ts";
import { chooseContext } from "./context-length.ts";
import { Model } from "./model.ts";
import { type Checkpoints, describeModel, openCheckpoints } from "./open-checkpoints.ts";
import { type OpenDevice, openDevice, type Precision } from "./open-device.ts";
import { type CheckpointSource, expectedTensors, parameterSource } from "./parameter-source.ts";
import { weightGraphs } from "./weight-graphs.ts";

/** How a model is loaded, and where to. Every field has a default. */
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
  /** Stops the loading; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

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
    const checkpoints = await openCheckpoints(dir, headsDir, opened);
    const device = await openDevice(options.device ?? "auto", options);
    try {
      return await loadOnto(device, checkpoints, model, dir, options);
    } catch (error) {
      await device.executor.dispose();
      throw error;
    }
  } finally {
    await Promise.all(opened.map((each) => each.close()));
  }
}

async function loadOnto(
  { executor, cacheType, prefillRows }: OpenDevice,
  checkpoints: Checkpoints,
  model: string,
  dir: string,
  options: LoadOptions,
): Promise<Model> {
  const { config, file, heads } = checkpoints;
  const { base, drafter } = describeModel(checkpoints, cacheType, options.eagleMask);
  const needed = expectedTensors(weightGraphs(base, drafter));
  const source = parameterSource(
    { file, tensors: bindTensors(needed.base, file, { ignore: unusedBaseTensors(config) }) },
    heads && {
      file: heads.file,
      tensors: bindTensors(needed.heads, heads.file, { ignore: unusedHeadTensors(heads.config) }),
    },
  );

  const contextLength = chooseContext(options.contextLength, config);
  const tokenizer = await loadTokenizer(dir);
  const chatTemplate = tokenizer && (await loadChatTemplate(dir, { tokenizer, names: [dir] }));
  return new Model({
    name: model,
    headsName: options.heads,
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

function unusedBaseTensors(config: ModelConfig): RegExp[] {
  const tied = config.tieWordEmbeddings ? [/^lm_head\.weight$/] : [];
  return [/rotary_emb\.inv_freq$/, /^medusa_head\./, ...tied];
}
