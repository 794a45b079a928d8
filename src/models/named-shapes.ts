import { HydrantError } from "../util/errors.ts";
import type { ModelConfig } from "./config.ts";
import type { HeadsConfig } from "./heads-config.ts";

/*
 * Published models and draft heads by name, as their config.json files describe them: for plans and
 * measurements of models whose weights are not at hand.
 */

/** What shapes differ in; the rest is Llama's. */
type Shape = Pick<
  ModelConfig,
  | "vocabSize"
  | "hiddenSize"
  | "intermediateSize"
  | "layers"
  | "heads"
  | "kvHeads"
  | "headDim"
  | "rmsNormEps"
  | "maxPositions"
> &
  Partial<Pick<ModelConfig, "architecture" | "rope" | "qkvBias">>;

const size7b = {
  vocabSize: 32000,
  hiddenSize: 4096,
  intermediateSize: 11008,
  layers: 32,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
};
const size13b = {
  ...size7b,
  hiddenSize: 5120,
  intermediateSize: 13824,
  layers: 40,
  heads: 40,
  kvHeads: 40,
};
/** Models of the first Llama. */
const llama1 = { rmsNormEps: 1e-6, maxPositions: 2048 };
const llama2 = { rmsNormEps: 1e-5, maxPositions: 4096 };
const llama31 = {
  vocabSize: 128256,
  kvHeads: 8,
  headDim: 128,
  rmsNormEps: 1e-5,
  maxPositions: 131072,
  rope: {
    theta: 500000,
    scaling: {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    },
  },
} as const;

const shapes = {
  /** demo/model/base. */
  demo: {
    vocabSize: 2048,
    hiddenSize: 256,
    intermediateSize: 704,
    layers: 5,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    rmsNormEps: 1e-5,
    maxPositions: 1024,
  },
  "llama-2-7b": { ...size7b, ...llama2 },
  "llama-2-13b": { ...size13b, ...llama2 },
  /** Vicuna v1.3, for which Hydra and Medusa heads are published. */
  "vicuna-7b": { ...size7b, ...llama1 },
  "vicuna-13b": { ...size13b, ...llama1 },
  "vicuna-33b": {
    ...size7b,
    ...llama1,
    hiddenSize: 6656,
    intermediateSize: 17920,
    layers: 60,
    heads: 52,
    kvHeads: 52,
  },
  "llama-3.1-8b": {
    ...llama31,
    hiddenSize: 4096,
    intermediateSize: 14336,
    layers: 32,
    heads: 32,
  },
  "llama-3.1-70b": {
    ...llama31,
    hiddenSize: 8192,
    intermediateSize: 28672,
    layers: 80,
    heads: 64,
  },
  "qwen2-7b": {
    architecture: "qwen2",
    vocabSize: 152064,
    hiddenSize: 3584,
    intermediateSize: 18944,
    layers: 28,
    heads: 28,
    kvHeads: 4,
    headDim: 128,
    rmsNormEps: 1e-6,
    maxPositions: 131072,
    rope: { theta: 1e6, scaling: { type: "default" } },
    qkvBias: true,
  },
  /** Version 0.3, without the sliding window of 0.1. */
  "mistral-7b": {
    architecture: "mistral",
    vocabSize: 32768,
    hiddenSize: 4096,
    intermediateSize: 14336,
    layers: 32,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    rmsNormEps: 1e-5,
    maxPositions: 32768,
    rope: { theta: 1e6, scaling: { type: "default" } },
  },
} as const satisfies Record<string, Shape>;

export const shapeNames: readonly string[] = Object.keys(shapes);

/**
 * The configuration of a published model. It names no special tokens: weights that are made up end
 * no text.
 * @throws HydrantError `config/unknown-shape`
 */
export function namedShape(name: string): ModelConfig {
  const shape = lookUp<Shape>(shapes, name);
  if (shape === undefined) throw unknown("config/unknown-shape", "model shape", name, shapeNames);
  return {
    architecture: "llama",
    rope: { theta: 10000, scaling: { type: "default" } },
    tieWordEmbeddings: false,
    qkvBias: false,
    outputBias: false,
    mlpBias: false,
    eosTokenIds: [],
    ...shape,
  };
}

const heads = {
  /** ankner/hydra-vicuna-…-v1.3. */
  "hydra++": {
    kind: "hydra",
    arch: "prefix-mlp",
    numHeads: 4,
    numLayers: 4,
    grounded: true,
    hiddenStateOffset: 0,
  },
  hydra: {
    kind: "hydra",
    arch: "mlp",
    numHeads: 4,
    numLayers: 1,
    grounded: true,
    hiddenStateOffset: 0,
  },
  /** FasterDecoding/medusa-vicuna-…-v1.3. */
  medusa: { kind: "medusa", numHeads: 5, numLayers: 1, ownLmHeads: true },
} as const satisfies Record<string, HeadsConfig>;

export const headNames: readonly string[] = Object.keys(heads);

/**
 * The configuration of published draft heads, for any base model.
 * @throws HydrantError `config/unknown-heads`
 */
export function namedHeads(name: string): HeadsConfig {
  const config = lookUp<HeadsConfig>(heads, name);
  if (config === undefined) throw unknown("config/unknown-heads", "set of heads", name, headNames);
  return config;
}

function lookUp<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function unknown(code: string, what: string, name: string, known: readonly string[]): HydrantError {
  return new HydrantError(code, `There is no ${what} named ${JSON.stringify(name.slice(0, 80))}.`, {
    hint: `Known are ${known.join(", ")}.`,
  });
}
