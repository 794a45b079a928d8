import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type BoundTensors, parameterSource } from "../../src/api/parameter-source.ts";
import { drafterFor } from "../../src/drafters/registry.ts";
import { isDType, isFloat } from "../../src/ir/dtype.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { parseHeadsConfig } from "../../src/models/heads-config.ts";
import type { BaseModel } from "../../src/models/llama.ts";
import { treeFromPaths } from "../../src/speculation/tree.ts";
import { openHeads } from "../../src/weights/checkpoint.ts";
import { openSafetensors } from "../../src/weights/safetensors.ts";
import type { TensorFile } from "../../src/weights/tensor-file.ts";

export const goldenCases = [
  "V1-hydra-mlp",
  "V2-hydra-prefix-mlp",
  "V3-medusa",
  "V4-hydra-eagle-attn",
  "V5-hydra-cross-attn",
] as const;

export type GoldenCase = (typeof goldenCases)[number];

/** Cases that share a base model store it once. */
const baseOf: Readonly<Record<GoldenCase, string>> = {
  "V1-hydra-mlp": "V1-hydra-mlp",
  "V2-hydra-prefix-mlp": "V2-hydra-prefix-mlp",
  "V3-medusa": "V1-hydra-mlp",
  "V4-hydra-eagle-attn": "V2-hydra-prefix-mlp",
  "V5-hydra-cross-attn": "V1-hydra-mlp",
};

export interface GoldenStep {
  readonly tree_tokens: number[];
  readonly appended: number[];
}

export interface GoldenRun {
  readonly prompt: number[];
  readonly prompt_argmax: number[];
  readonly ar_tokens: number[];
  readonly spec_tokens: number[];
  readonly steps: GoldenStep[];
}

interface GoldenJson {
  readonly choices: number[][];
  readonly runs: GoldenRun[];
  readonly typical_runs?: {
    readonly temperature: number;
    readonly posterior_threshold: number;
    readonly posterior_alpha: number;
    readonly runs: GoldenRun[];
  };
}

export function goldenPath(...parts: string[]): string {
  return fileURLToPath(new URL(`../fixtures/golden/${parts.join("/")}`, import.meta.url));
}

/** Folder of a case's base model. */
export function goldenBase(name: GoldenCase): string {
  return goldenPath(baseOf[name], "base");
}

/** A golden case with its models opened; `close` when done. */
export async function openGolden(name: GoldenCase) {
  const json = (...parts: string[]) => JSON.parse(readFileSync(goldenPath(...parts), "utf8"));
  const kind = name === "V3-medusa" ? "medusa" : "hydra";
  const base = await openSafetensors(goldenPath(baseOf[name], "base/model.safetensors"));
  const { weights: heads } = await openHeads(goldenPath(name, "heads"));
  const expected = await openSafetensors(goldenPath(name, "golden.safetensors"));
  const source = parameterSource(everything(base), everything(heads));
  const model: BaseModel = {
    config: parseModelConfig(json(baseOf[name], "base/config.json"), `${name}/base/config.json`),
    storedType: (parameter) => {
      const dtype = source.parameters.get(parameter)?.dtype;
      if (dtype === undefined || !isFloat(dtype)) throw new Error(`no weight ${parameter}`);
      return dtype;
    },
    cacheType: "f32",
  };
  const golden = json(name, "golden.json") as GoldenJson;
  return {
    golden,
    model,
    source,
    expected,
    tree: treeFromPaths(golden.choices, name),
    drafter: drafterFor(
      model,
      parseHeadsConfig(json(name, "heads/config.json"), name, kind),
      heads.tensors.keys(),
      {
        eagleMask: "reference",
      },
    ),
    close: () => Promise.all([base.close(), heads.close(), expected.close()]),
  };
}

/** The float tensors of a file, each under its own name. */
function everything(file: TensorFile): BoundTensors {
  const floats = [...file.tensors].flatMap(([name, { dtype, ...info }]) =>
    isDType(dtype) && isFloat(dtype) ? [[name, { ...info, dtype }] as const] : [],
  );
  return { file, tensors: new Map(floats) };
}

export async function readFloats(file: TensorFile, name: string): Promise<Float32Array> {
  const info = file.tensors.get(name);
  if (info === undefined) throw new Error(`no tensor ${name}`);
  const data = new Float32Array(info.byteLength / 4);
  await file.read(name, new Uint8Array(data.buffer));
  return data;
}
