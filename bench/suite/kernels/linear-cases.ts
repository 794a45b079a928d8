import type { Value } from "../../../src/ir/builder.ts";
import { samplingFields } from "../../../src/ir/op.ts";
import type { ModelConfig } from "../../../src/models/config.ts";
import { projection, queries, weight, writeKeysAndValues } from "../../../src/models/llama.ts";
import { acceptOperands } from "./choice-cases.ts";
import { anyRows, fewerTokens, type KernelCase, treeRows } from "./kernel-case.ts";
import type { Site } from "./site.ts";

/** Columns of a check's product where the whole one has more than it needs. */
const checkedColumns = 1024;
const checkedHeads = 4;
/** Tokens a draft head ranks. */
const candidates = 10;

const linear = { family: "linear", results: "rows", usesContext: false } as const;

/** The products of a decoder layer, of the vocabulary and of a draft head. */
export const linearCases: readonly KernelCase[] = [
  {
    ...linear,
    name: "qkv",
    rowsOf: anyRows,
    cut: (config) => ({
      ...config,
      heads: Math.min(config.heads, checkedHeads),
      kvHeads: Math.min(config.kvHeads, checkedHeads),
    }),
    build(site) {
      const { b, model } = site;
      const x = site.norm(site.stream());
      const positions = site.positions();
      const start = site.length(site.extent.context + site.first);
      return site.own(() => {
        const names = { parameters: site.name("self_attn"), cache: site.name("kv") };
        const q = queries(b, model, names.parameters, x, positions);
        const { keys, values } = writeKeysAndValues(b, model, names, x, positions, start);
        const { heads, headDim, kvHeads } = model.config;
        const stored = (cache: Value) =>
          b.reshape(b.gather(cache, positions), site.rows, kvHeads * headDim);
        return [
          site.handOver(b.reshape(q, site.rows, heads * headDim), model.cacheType),
          stored(keys),
          stored(values),
        ];
      });
    },
  },
  {
    ...linear,
    name: "o_proj",
    rowsOf: anyRows,
    cut: narrower,
    build(site) {
      const { heads, headDim } = site.whole;
      return residualProduct(site, "o_proj", heads * headDim, "attention_residual");
    },
  },
  {
    ...linear,
    name: "gate_up",
    rowsOf: anyRows,
    cut: (config) => ({
      ...config,
      intermediateSize: Math.min(config.intermediateSize, checkedColumns),
    }),
    build(site) {
      const { b, model } = site;
      const { intermediateSize, mlpBias } = model.config;
      const x = site.norm(site.stream());
      return site.own(() => {
        const project = (name: string) =>
          projection(b, model, site.name(name), x, intermediateSize, mlpBias);
        const gate = project("mlp.gate_proj");
        const up = project("mlp.up_proj");
        return [site.handOver(b.mul(b.silu(gate, "silu"), up, "gate_times_up"))];
      });
    },
  },
  {
    ...linear,
    name: "down",
    rowsOf: anyRows,
    cut: narrower,
    build: (site) =>
      residualProduct(site, "down_proj", site.whole.intermediateSize, "mlp_residual"),
  },
  {
    ...linear,
    name: "lm_head",
    rowsOf: treeRows,
    cut: fewerTokens,
    build(site) {
      const logits = vocabulary(site);
      // Logits that nobody draws from are a product like any other.
      if (site.extent.isCompiled && site.extent.row === undefined)
        site.b.scope("after", () => {
          const operands = acceptOperands(site, logits, greedySampling);
          site.b.output(
            site.name("after"),
            site.b.accept("accept_match", operands, site.tree.maxDepth + 1).path,
          );
        });
      return [logits];
    },
  },
  {
    ...linear,
    name: "lm_head_topk",
    rowsOf: treeRows,
    build: (site) => {
      const logits = vocabulary(site);
      return site.own(() => [site.b.topk(logits, candidates, "candidates").values]);
    },
  },
  {
    ...linear,
    name: "hydra_mlp",
    // The second head sees the hidden state and two tokens, for the ten best tokens of the first.
    rowsOf: treeRows,
    cut: narrower,
    build(site) {
      const { b, model } = site;
      const { hiddenSize } = model.config;
      const rows = site.activations("rows", 3 * site.whole.hiddenSize);
      return site.own(() => {
        const project = (name: string) =>
          projection(b, model, site.name(name), rows, hiddenSize, true);
        const residual = project("res_connection");
        return [site.handOver(b.add(residual, b.silu(project("linear")), "residual"))];
      });
    },
  },
];

const greedySampling = samplingFields.map((field) =>
  field === "topP" || field === "repetitionPenalty" ? 1 : 0,
);

/** A model of fewer outputs of everything that ends in the residual stream. */
function narrower(config: ModelConfig): ModelConfig {
  return { ...config, hiddenSize: Math.min(config.hiddenSize, checkedColumns) };
}

/** A product that is added to the residual stream. */
function residualProduct(
  site: Site,
  name: string,
  inputs: number,
  label: string,
): readonly Value[] {
  const outputs = site.model.config.hiddenSize;
  const x = site.activations("stream", outputs, site.whole.hiddenSize);
  const input = site.activations(name, inputs);
  const sum = site.own(() => site.b.add(x, site.linear(name, input, outputs), label));
  site.goOn(sum);
  return [sum];
}

/** Logits f32[rows, V]. */
function vocabulary(site: Site): Value {
  const { hiddenSize, vocabSize } = site.model.config;
  const x = site.activations("hidden", hiddenSize);
  const matrix = weight(site.b, site.model, site.name("lm_head.weight"), vocabSize, hiddenSize);
  return site.own(() => site.b.linear(x, matrix, undefined, "lm_head"));
}
