import { crossAttn } from "../../src/drafters/cross-attn.ts";
import { eagleAttn } from "../../src/drafters/eagle-attn.ts";
import { hydra } from "../../src/drafters/hydra.ts";
import { medusa } from "../../src/drafters/medusa.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { BaseModel } from "../../src/models/llama.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { type TreeTopology, treeFromPaths } from "../../src/speculation/tree.ts";
import type { Random } from "./random.ts";

export const drafterKinds = [
  "medusa",
  "medusa-2",
  "hydra",
  "hydra-ungrounded",
  "hydra++",
  "eagle-attn",
  "eagle-attn-reference",
  "cross-attn",
] as const;
export type DrafterKind = (typeof drafterKinds)[number];

/** A tiny model of a random shape: sizes that are no multiples of a vector included. */
export function randomModel(random: Random): BaseModel {
  const kvHeads = random.int(1, 3);
  const headDim = 2 * random.int(2, 8);
  const heads = kvHeads * random.int(1, 3);
  const config: ModelConfig = {
    architecture: "llama",
    vocabSize: random.int(20, 60),
    hiddenSize: 2 * random.int(4, 20),
    intermediateSize: random.int(8, 50),
    layers: random.int(1, 2),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: 1e-5,
    maxPositions: 64,
    rope: { theta: 10000, scaling: { type: "default" } },
    tieWordEmbeddings: random.next() < 0.3,
    qkvBias: random.next() < 0.5,
    outputBias: random.next() < 0.2,
    mlpBias: random.next() < 0.2,
    eosTokenIds: [],
  };
  const types: readonly FloatDType[] = ["f32", "f16", "bf16"];
  const stored = types[random.int(0, 2)] ?? "f32";
  const cacheType = random.next() < 0.5 ? "f32" : "bf16";
  return { config, storedType: () => stored, cacheType };
}

export function drafterOf(kind: DrafterKind, model: BaseModel, numHeads = 4): Drafter {
  const common = { numHeads, hiddenStateOffset: 0 };
  switch (kind) {
    case "medusa":
      return medusa(model, { numHeads, numLayers: 1, ownLmHead: true });
    case "medusa-2":
      return medusa(model, { numHeads, numLayers: 2, ownLmHead: false });
    case "hydra":
      return hydra(model, { ...common, arch: "mlp", numLayers: 2, grounded: true });
    case "hydra-ungrounded":
      return hydra(model, {
        ...common,
        arch: "mlp",
        numLayers: 1,
        grounded: false,
        hiddenStateOffset: 1,
      });
    case "hydra++":
      return hydra(model, { ...common, arch: "prefix-mlp", numLayers: 3, grounded: true });
    case "eagle-attn":
      return eagleAttn(model);
    case "eagle-attn-reference":
      return eagleAttn(model, "reference");
    case "cross-attn":
      return crossAttn(model);
    default:
      return kind satisfies never;
  }
}

/** A random tree, closed under parents; ranks may leave gaps. */
export function randomTree(random: Random, nodes: number, maxDepth = 4, maxRank = 4): TreeTopology {
  const paths: number[][] = [];
  const known = new Set<string>();
  for (let attempt = 0; attempt < 20 * nodes && paths.length < nodes; attempt++) {
    const parent =
      paths.length === 0 || random.next() < 0.3
        ? []
        : (paths[random.int(0, paths.length - 1)] ?? []);
    const path = [...parent, random.int(0, maxRank)];
    if (path.length > maxDepth || known.has(path.join())) continue;
    known.add(path.join());
    paths.push(path);
  }
  return treeFromPaths(paths, "random");
}
