import {
  attentionName,
  plainStep,
  productNames,
  shapeNames,
  textNames,
  torchName,
  treeStep,
} from "../gpu-check/figure-names.ts";
import { namedShape } from "../../src/models/named-shapes.ts";
import { cacheBytes, type Measured, ratio, times } from "./measured.ts";

/** What a figure has to reach. */
export type Bound =
  | { readonly kind: "at least" | "at most" | "more than"; readonly value: number }
  | { readonly kind: "holds" };

/** One line of the table, before anything is measured. */
export interface Target {
  readonly id: string;
  /** What is measured, in the reader's words. */
  readonly title: string;
  /** How the number comes from what was measured. */
  readonly definition: string;
  readonly bound: Bound;
  readonly unit: "ratio" | "share" | "MB" | "check";
  /** Cases it is measured in: shapes and contexts. */
  readonly values: (measured: Measured) => readonly TargetValue[];
}

export interface TargetValue {
  /** `vicuna-7b, 512 tokens`. */
  readonly where: string;
  /** For `holds` 1 or 0; undefined: not measured. */
  readonly value: number | undefined;
}

/** Shapes with a part of their own in the GPU check. */
const shapes = ["vicuna-7b", "llama-3.1-8b", "llama-2-13b"] as const;
const contexts = [512, 2048] as const;
const promptTokens = 2048;
const longContext = 8192;
const libraryShapes = ["vicuna-7b", "llama-3.1-8b"] as const;
const libraryRows = [1, 8, 16, 32, 64] as const;
const products = ["qkv", "o_proj", "gate_up", "down", "lm_head"] as const;

/** All that the product promises of a GPU, in the order of the table. */
export const targets: readonly Target[] = [
  {
    id: "plain-roofline",
    title: "Plain decoding: bandwidth reached",
    definition:
      "bytes of weights and of the text's keys and values ÷ time of a step ÷ measured copy bandwidth",
    bound: { kind: "at least", value: 0.9 },
    unit: "share",
    values: (m) =>
      steps((shape, context) => {
        const weights = times(m.note(shape, shapeNames.weightsRead(plainStep)), 1e9);
        const bytes = weights === undefined ? undefined : weights + cacheBytes(shape, context);
        const seconds = times(m.figure(shape, shapeNames.step(plainStep, context)), 1e-3);
        return ratio(ratio(bytes, seconds), m.copyBandwidth);
      }),
  },
  {
    id: "tree-step",
    title: "Hydra++ step over 63 drafts, in plain steps",
    definition: "time of draft, verification, acceptance and commit ÷ time of a plain step",
    bound: { kind: "at most", value: 1.25 },
    unit: "ratio",
    values: (m) =>
      steps((shape, context) =>
        ratio(
          m.figure(shape, shapeNames.step(treeStep, context)),
          m.figure(shape, shapeNames.step(plainStep, context)),
        ),
      ),
  },
  {
    id: "verify",
    title: "Verification of 64 nodes, in plain steps",
    definition: "kernels of the forward pass over the tree ÷ all kernels of a plain step",
    bound: { kind: "at most", value: 1.08 },
    unit: "ratio",
    values: (m) =>
      steps((shape, context) =>
        ratio(
          m.figure(shape, shapeNames.phase(shapeNames.step(treeStep, context), "verify")),
          m.figure(shape, shapeNames.launches(shapeNames.step(plainStep, context))),
        ),
      ),
  },
  {
    id: "gaps",
    title: "Time of a step that no kernel covers",
    definition:
      "the larger of step minus the device's time for it and step minus the sum of its kernels, ÷ step",
    bound: { kind: "at most", value: 0.02 },
    unit: "share",
    values: (m) =>
      [plainStep, treeStep].flatMap((what) =>
        steps(
          (shape, context) => {
            const name = shapeNames.step(what, context);
            const step = m.figure(shape, name);
            const device = m.figure(shape, shapeNames.deviceTime(name));
            const kernels = m.figure(shape, shapeNames.launches(name));
            if (step === undefined || device === undefined || kernels === undefined)
              return undefined;
            return Math.max(0, step - device, step - kernels) / step;
          },
          what === treeStep ? ", tree" : "",
        ),
      ),
  },
  {
    id: "products",
    title: "Matrix products of 1 to 64 rows: bandwidth reached, the least of them",
    definition: "bytes of weights, inputs and results ÷ time ÷ measured copy bandwidth",
    bound: { kind: "at least", value: 0.88 },
    unit: "share",
    values: (m) =>
      library(Math.min, (name) =>
        ratio(times(m.note("cublas", productNames.rate(name)), 1e9), m.copyBandwidth),
      ),
  },
  {
    id: "products-cublas",
    title: "The same products: time against cuBLAS, the most of them",
    definition: "time ÷ cuBLAS's for the same product in a CUDA graph, weights from memory",
    bound: { kind: "at most", value: 1 },
    unit: "ratio",
    values: (m) =>
      library(Math.max, (name) =>
        ratio(m.figure("cublas", name), m.figure("cublas", productNames.cublas(name))),
      ),
  },
  {
    id: "tree-attention",
    title: "Attention of 64 nodes after 8192 tokens",
    definition: "time ÷ time to read the keys and values once at the measured copy bandwidth",
    bound: { kind: "at most", value: 1.3 },
    unit: "ratio",
    values: (m) =>
      libraryShapes.map((shape) => {
        const name = attentionName(shape, `tree at ${longContext}`, 64);
        const { layers } = namedShape(shape);
        const read = ratio(cacheBytes(shape, longContext) / layers, m.copyBandwidth);
        return {
          where: shape,
          value: ratio(times(m.figure("tree-attention", name), 1e-3), read),
        };
      }),
  },
  {
    id: "prefill",
    title: "Prompt of 2048 tokens, in times of its products by cuBLAS",
    definition: "time to the first token ÷ sum of cuBLAS's times for the prompt's matrix products",
    bound: { kind: "at most", value: 1.4 },
    unit: "ratio",
    values: (m) =>
      libraryShapes.map((shape) => ({
        where: shape,
        value: ratio(
          m.figure(shape, shapeNames.prompt("plain", promptTokens)),
          m.figure("cublas", productNames.prompt(shape, promptTokens)),
        ),
      })),
  },
  {
    id: "exact-tokens",
    title: "Greedy texts of 512 tokens, drafted and plain",
    definition:
      "20 prompts each, on synthetic weights and on the demo model's: every token the same",
    bound: { kind: "holds" },
    unit: "check",
    values: (m) =>
      ["vicuna-7b", "demo"].map((name) => {
        const same = m.note("texts", textNames.same(name));
        const compared = m.note("texts", textNames.compared(name));
        const isMeasured = same !== undefined && compared !== undefined && compared > 0;
        return {
          where: isMeasured ? `${name}, ${compared} texts` : name,
          value: isMeasured ? Number(same === compared) : undefined,
        };
      }),
  },
  {
    id: "exact-bits",
    title: "Logits of tree nodes and of plain steps, bit by bit",
    definition: "layers of the published shapes, tokens in pieces of 1 to 130 rows and tree nodes",
    bound: { kind: "holds" },
    unit: "check",
    values: (m) => {
      const passed = m.passed("rows");
      return [{ where: "", value: passed === undefined ? undefined : Number(passed) }];
    },
  },
  ...(
    [
      ["torch-eager", "plain", "eager", plainStep, 1, "an eager loop in torch"],
      ["torch-graph", "plain", "CUDA graph", plainStep, 1, "the same as a CUDA graph"],
      ["torch-compiled", "plain", "compiled CUDA graph", plainStep, 1, "compiled, as a CUDA graph"],
      ["torch-hydra-eager", "hydra", "eager", treeStep, 2.5, "an eager Hydra++ step in torch"],
      [
        "torch-hydra",
        "hydra",
        "CUDA graph",
        treeStep,
        2.5,
        "a Hydra++ step in torch as a CUDA graph",
      ],
    ] as const
  ).map(
    ([id, peer, name, own, value, what]): Target => ({
      id,
      title: `Speed against ${what}`,
      definition: "time of its step ÷ time of ours, same shape, heads, tree and context",
      bound: value > 1 ? { kind: "at least", value } : { kind: "more than", value },
      unit: "ratio",
      values: (m) =>
        contexts.map((context) => ({
          where: `vicuna-7b, ${context} tokens`,
          value: ratio(
            m.figure("torch", torchName(peer, `${name} at ${context}`)),
            m.figure("vicuna-7b", shapeNames.step(own, context)),
          ),
        })),
    }),
  ),
  {
    id: "memory",
    title: "GPU memory beyond weights and caches",
    definition:
      "memory in use after plain and tree steps, without the driver's context, weights and caches",
    bound: { kind: "at most", value: 300 },
    unit: "MB",
    values: (m) =>
      shapes.map((shape) => ({
        where: shape,
        value: m.figure(shape, shapeNames.memory("hydra++")),
      })),
  },
];

function steps(
  value: (shape: string, context: number) => number | undefined,
  more = "",
): readonly TargetValue[] {
  return shapes.flatMap((shape) =>
    contexts.map((context) => ({
      where: `${shape}, ${context} tokens${more}`,
      value: value(shape, context),
    })),
  );
}

/** The worst product of each shape and number of rows; only where all products were measured. */
function library(
  worst: (...values: number[]) => number,
  value: (name: string) => number | undefined,
): readonly TargetValue[] {
  return libraryShapes.flatMap((shape) =>
    libraryRows.map((rows) => {
      const each = products.map((product) => value(productNames.own(shape, product, rows)));
      const known = each.filter((one) => one !== undefined);
      return {
        where: `${shape}, ${rows} ${rows === 1 ? "row" : "rows"}`,
        value: known.length < products.length ? undefined : worst(...known),
      };
    }),
  );
}

/** Whether a value reaches its bound. */
export function isMet(bound: Bound, value: number): boolean {
  switch (bound.kind) {
    case "at least":
      return value >= bound.value;
    case "at most":
      return value <= bound.value;
    case "more than":
      return value > bound.value;
    case "holds":
      return value === 1;
    default:
      return bound satisfies never;
  }
}
