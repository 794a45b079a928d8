import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EagleMask } from "../drafters/eagle-attn.ts";
import { noDrafter } from "../drafters/none.ts";
import { drafterFor } from "../drafters/registry.ts";
import { type FloatDType, isDType, isFloat } from "../ir/dtype.ts";
import {
  type ModelConfig,
  mergeGenerationConfig,
  parseGenerationConfig,
  parseModelConfig,
} from "../models/config.ts";
import { type HeadsConfig, parseHeadsConfig } from "../models/heads-config.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { HydrantError } from "../util/errors.ts";
import { openCheckpoint, openHeads } from "../weights/checkpoint.ts";
import { readJsonFile } from "../weights/json-file.ts";
import type { TensorFile } from "../weights/tensor-file.ts";
import { headsPrefix } from "./parameter-source.ts";

/** A model's folder and one of draft heads: settings, and the names and types of the weights. */
export interface Checkpoints {
  readonly config: ModelConfig;
  readonly file: TensorFile;
  readonly heads: { readonly file: TensorFile; readonly config: HeadsConfig } | undefined;
  /** Type a parameter is stored in. */
  readonly storedType: (parameter: string) => FloatDType;
}

/** Its type is taken for the model's. */
const typicalWeight = "model.layers.0.self_attn.k_proj.weight";

/**
 * Reads settings and headers; no weight is read.
 * @param opened gets every file that was opened, for the caller to close, even after an error.
 * @throws HydrantError naming the file for anything that is missing, malformed or unsupported.
 */
export async function openCheckpoints(
  dir: string,
  headsDir: string | undefined,
  opened: TensorFile[],
): Promise<Checkpoints> {
  const config = await readConfig(dir);
  const file = await openCheckpoint(dir);
  opened.push(file);
  if (headsDir === undefined)
    return { config, file, heads: undefined, storedType: storedType(file) };
  const { weights, config: json, configFile, kind } = await openHeads(headsDir);
  opened.push(weights);
  const headsConfig = parseHeadsConfig(json, configFile, kind);
  if (headsConfig.kind === "hydra" && headsConfig.hiddenStateOffset > config.layers) {
    throw new HydrantError(
      "config/bad-field",
      `Field hidden_state_offset is ${headsConfig.hiddenStateOffset}, but the model has ${config.layers} layers.`,
      { path: `${configFile}: hidden_state_offset` },
    );
  }
  return {
    config,
    file,
    heads: { file: weights, config: headsConfig },
    storedType: storedType(file, weights),
  };
}

/** The base model and the draft method of checkpoints. */
export function describeModel(
  { config, heads, storedType }: Checkpoints,
  cacheType: (weights: FloatDType) => FloatDType,
  eagleMask?: EagleMask,
): { base: BaseModel; drafter: Drafter } {
  const base = { config, storedType, cacheType: cacheType(storedType(typicalWeight)) };
  const drafter = heads
    ? drafterFor(base, heads.config, heads.file.tensors.keys(), { eagleMask })
    : noDrafter();
  return { base, drafter };
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

/** A parameter the checkpoint lacks is taken for f32 here; binding reports it with all others. */
function storedType(base: TensorFile, heads?: TensorFile): BaseModel["storedType"] {
  return (parameter) => {
    const info = parameter.startsWith(headsPrefix)
      ? heads?.tensors.get(parameter.slice(headsPrefix.length))
      : base.tensors.get(parameter);
    return info !== undefined && isDType(info.dtype) && isFloat(info.dtype) ? info.dtype : "f32";
  };
}
