import type { Value } from "../../../src/ir/builder.ts";
import type { ModelConfig } from "../../../src/models/config.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import { type Extent, fewTokens, type Site } from "./site.ts";

/** Families are the folders of kernels/. */
export const kernelFamilies = [
  "linear",
  "attention",
  "rms-norm",
  "embedding",
  "topk",
  "accept",
  "cache",
] as const;
export type KernelFamily = (typeof kernelFamilies)[number];

/** Bytes moved and operations done by one run of a case. */
export interface Work {
  readonly bytes: number;
  readonly flops: number;
}

/** A piece of the model as the model builder makes it, to be measured alone. */
export interface KernelCase {
  readonly family: KernelFamily;
  readonly name: string;
  /** Of the numbers of rows that are asked for, those it has; `prompt` is a part of a prompt. */
  readonly rowsOf: (asked: readonly number[], prompt: number | undefined) => readonly number[];
  /** Whether the committed text's length matters. */
  readonly usesContext: boolean;
  /** Always one: what it works on is as large as a model's by itself. */
  readonly once?: boolean;
  /** `rows`: results [rows, …], each row by itself; `whole`: all of the results together. */
  readonly results: "rows" | "whole";
  /** Comparing bits: nothing is rounded. */
  readonly isExact?: boolean;
  /** A smaller model whose results are the first columns of the whole one's, for the check. */
  readonly cut?: (config: ModelConfig) => ModelConfig;
  /** Where the traffic of the launches says something else: attention's counts the whole cache. */
  readonly work?: (model: BaseModel, extent: Extent) => Work;
  readonly build: (site: Site) => readonly Value[];
}

/** Rows of a step's tree. */
export const treeRows: KernelCase["rowsOf"] = (asked) => asked.filter((rows) => rows <= 64);
/** Rows of a tree, and those of a part of a prompt. */
export const anyRows: KernelCase["rowsOf"] = (asked, prompt) => [
  ...new Set([...asked, ...(prompt === undefined ? [] : [prompt])]),
];

/** A `cut` for results that are a vocabulary's columns, or rows of its table. */
export function fewerTokens(config: ModelConfig): ModelConfig {
  return { ...config, vocabSize: Math.min(config.vocabSize, fewTokens) };
}
