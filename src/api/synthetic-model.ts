import { noDrafter } from "../drafters/none.ts";
import { drafterFor } from "../drafters/registry.ts";
import type { FloatDType } from "../ir/dtype.ts";
import type { HeadsConfig } from "../models/heads-config.ts";
import type { BaseModel } from "../models/llama.ts";
import { namedHeads, namedShape } from "../models/named-shapes.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { syntheticWeights } from "../weights/synthetic.ts";
import { chooseContext } from "./context-length.ts";
import type { LoadOptions } from "./load-model.ts";
import { Model } from "./model.ts";
import { openDevice } from "./open-device.ts";
import { weightGraphs } from "./weight-graphs.ts";

/** Weights of published models have this type, and so have synthetic ones. */
const weightType: FloatDType = "bf16";

/** As for `loadModel`, but for what only files need. */
export type SyntheticOptions = Omit<LoadOptions, "onProgress" | "eagleMask">;

/**
 * A model of a published shape with random weights, made on the device: it costs what the real one
 * costs and says nothing. There is no tokenizer; prompts are token ids.
 * @param shape `vicuna-7b`, `llama-3.1-8b`, …; `options.heads` is `hydra++`, `hydra` or `medusa`.
 * @throws HydrantError `config/unknown-shape`, and what a device throws when it cannot hold it.
 */
export async function syntheticModel(
  shape: string,
  options: SyntheticOptions = {},
): Promise<Model> {
  options.signal?.throwIfAborted();
  // Before the device is opened, so that a mistyped name is told at once.
  describeSynthetic(shape, options.heads, (weights) => weights);
  const { executor, cacheType, prefillRows } = await openDevice(options.device ?? "auto", options);
  try {
    const { base, drafter } = describeSynthetic(shape, options.heads, cacheType);
    const contextLength = chooseContext(options.contextLength, base.config);
    const source = syntheticWeights(weightGraphs(base, drafter));
    return new Model({
      name: shape,
      headsName: options.heads,
      base,
      drafter,
      executor,
      weights: await executor.load(source, options.signal),
      tokenizer: undefined,
      chatTemplate: undefined,
      contextLength,
      prefillRows,
    });
  } catch (error) {
    await executor.dispose();
    throw error;
  }
}

/** The base model and the draft method of named shapes. */
export function describeSynthetic(
  shape: string,
  heads: string | undefined,
  cacheType: (weights: FloatDType) => FloatDType,
): { base: BaseModel; drafter: Drafter } {
  const base: BaseModel = {
    config: namedShape(shape),
    storedType: () => weightType,
    cacheType: cacheType(weightType),
  };
  if (heads === undefined) return { base, drafter: noDrafter() };
  const config = namedHeads(heads);
  return { base, drafter: drafterFor(base, config, headTensorNames(config)) };
}

/** The names by which Medusa's heads are counted (see `drafterFor`). */
function headTensorNames(config: HeadsConfig): string[] {
  if (config.kind !== "medusa") return [];
  const { numHeads, numLayers, ownLmHeads } = config;
  const blocks = Array.from({ length: numHeads }, (_, head) => `${head}.0.linear.weight`);
  return ownLmHeads ? [...blocks, `0.${numLayers}.weight`] : blocks;
}
