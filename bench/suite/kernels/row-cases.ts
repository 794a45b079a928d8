import { byteSize } from "../../../src/ir/dtype.ts";
import { embedTokens, rmsNorm } from "../../../src/models/llama.ts";
import { anyRows, fewerTokens, type KernelCase, treeRows } from "./kernel-case.ts";
import type { Site } from "./site.ts";

/** Attention over a step's tree and over a part of a prompt; norms and embeddings. */
export const rowCases: readonly KernelCase[] = [
  attentionCase("tree", treeRows),
  attentionCase("causal", (_, prompt) => (prompt === undefined ? [] : [prompt])),
  {
    family: "rms-norm",
    name: "final",
    rowsOf: anyRows,
    usesContext: false,
    results: "rows",
    build(site) {
      const x = site.activations("stream", site.model.config.hiddenSize);
      return site.own(() => {
        const normed = rmsNorm(site.b, site.model, site.name("norm.weight"), x);
        return site.extent.isCompiled ? [normed, site.handOver(normed)] : [normed];
      });
    },
  },
  {
    family: "embedding",
    name: "tokens",
    rowsOf: anyRows,
    usesContext: false,
    results: "rows",
    cut: fewerTokens,
    // Without a norm behind it the rows are read where they are used: no launch to take this from.
    work: ({ config: { hiddenSize } }, { rows, isCompiled }) => ({
      bytes: rows * hiddenSize * (isCompiled ? 2 + 4 + 2 : 2 + 4),
      flops: 0,
    }),
    build(site) {
      const { b, model } = site;
      const tokens = site.tokens();
      // The table is the model's own: its name has no copy in it.
      const rows = site.own(() => embedTokens(b, model, tokens));
      site.goOn(rows);
      return [rows];
    },
  },
];

function attentionCase(name: "tree" | "causal", rowsOf: KernelCase["rowsOf"]): KernelCase {
  const isTree = name === "tree";
  return {
    family: "attention",
    name,
    rowsOf,
    usesContext: true,
    results: "rows",
    work({ config, cacheType }, { rows, context, isCompiled }) {
      const { heads, kvHeads, headDim } = config;
      const cached = byteSize(cacheType);
      // Queries come and results go in the type of the products around.
      const own = isCompiled ? 2 : 4;
      const keys = (context + rows) * kvHeads * headDim;
      const seen = isTree ? context : context + rows / 2;
      return {
        bytes: 2 * keys * cached + 2 * rows * heads * headDim * own,
        flops: 4 * rows * heads * headDim * seen,
      };
    },
    build: (site) => attend(site, isTree),
  };
}

function attend(site: Site, isTree: boolean) {
  const { b, model } = site;
  const { heads, headDim } = model.config;
  const q = b.reshape(site.activations("q", heads * headDim), site.rows, heads, headDim);
  const operands = {
    q,
    keys: site.cache("kv.k"),
    values: site.cache("kv.v"),
    // Without a mask a row also sees the rows before it.
    length: site.length(site.extent.context + (isTree ? 0 : site.first)),
    mask: isTree ? site.treeMask() : undefined,
  };
  return site.own(() => {
    const attended = b.attention(operands, 1 / Math.sqrt(headDim), "attention");
    return [site.handOver(b.reshape(attended, site.rows, heads * headDim))];
  });
}
