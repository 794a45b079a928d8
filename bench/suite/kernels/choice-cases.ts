import type { Value } from "../../../src/ir/builder.ts";
import { samplingFields } from "../../../src/ir/op.ts";
import { type KernelCase, treeRows } from "./kernel-case.ts";
import { normals, type Site } from "./site.ts";

/** Ranking and drawing tokens, and what an accepted path moves. */
export const choiceCases: readonly KernelCase[] = [
  {
    family: "topk",
    name: "top 10",
    rowsOf: treeRows,
    usesContext: false,
    results: "rows",
    build(site) {
      const logits = site.activations("logits", site.model.config.vocabSize);
      return site.own(() => [site.b.topk(logits, 10, "candidates").values]);
    },
  },
  acceptCase("greedy", {}),
  acceptCase("sampled", { temperature: 0.8, topP: 0.95 }),
  {
    family: "cache",
    name: "commit",
    rowsOf: (asked) => asked.filter((rows) => rows === 64),
    usesContext: false,
    once: true,
    results: "whole",
    isExact: true,
    cut: (config) => ({ ...config, layers: 1 }),
    build(site) {
      const { b, model, tree } = site;
      const path = site.state("path", "i32", [5], Int32Array.of(0, ...someDeepPath(site), 0));
      const count = site.state("count", "i32", [1], Int32Array.of(tree.maxDepth));
      const length = site.length();
      const names = Array.from({ length: model.config.layers }, (_, layer) => [
        `kv.${layer}.k`,
        `kv.${layer}.v`,
      ]).flat();
      const committed = names.map((name) => {
        const cache = b.cacheCommit(site.cache(name), path, count, length, `commit.${name}`);
        b.update(site.name(name), cache);
        return cache;
      });
      const { context, rows } = site.extent;
      const slots = b.constant(
        "i32",
        Array.from({ length: rows }, (_, i) => context + i),
      );
      const [keys] = committed;
      return keys === undefined ? [] : [b.cast(b.gather(keys, slots), "f32")];
    },
  },
];

/** Nodes of a path from below the root, a node of every depth but the last. */
function someDeepPath({ tree }: Site): readonly number[] {
  const path: number[] = [];
  let node = tree.depths.lastIndexOf(tree.maxDepth - 1);
  while (node > 0) {
    path.unshift(node);
    node = tree.parents[node] ?? 0;
  }
  return path;
}

function acceptCase(
  name: string,
  sampling: Partial<Record<(typeof samplingFields)[number], number>>,
): KernelCase {
  const values: Partial<Record<string, number>> = { topP: 1, repetitionPenalty: 1, ...sampling };
  return {
    family: "accept",
    name,
    rowsOf: treeRows,
    usesContext: false,
    results: "whole",
    isExact: true,
    build(site) {
      const logits = site.activations("logits", site.model.config.vocabSize);
      const operands = acceptOperands(
        site,
        logits,
        samplingFields.map((field) => values[field] ?? 0),
      );
      const { path, count, following } = site.own(() =>
        site.b.accept("accept_match", operands, site.tree.maxDepth + 1),
      );
      return [path, count, following];
    },
  };
}

/** What an accept op takes besides logits; the first child of every node is its most probable token. */
export function acceptOperands(site: Site, logits: Value, sampling: readonly number[]) {
  const { b, tree, model } = site;
  const { vocabSize } = model.config;
  const { capacity } = site.extent;
  const best = (node: number) => {
    const row = normals("logits", node * vocabSize, vocabSize);
    return row.reduce((top, value, token) => (value > (row[top] ?? 0) ? token : top), 0);
  };
  const parents = Array.from(tree.parents);
  const tokens = parents.map((parent, node) =>
    parent >= 0 && parents.indexOf(parent) === node ? best(parent) : site.tokenOf(node),
  );
  const history = Int32Array.from({ length: capacity }, (_, slot) => site.tokenOf(1000 + slot));
  return {
    logits,
    tokens: site.state("nodes", "i32", [tree.size], Int32Array.from(tokens)),
    parents: b.constant("i32", parents),
    length: site.length(),
    history: site.state("history", "i32", [capacity], history),
    sampling: site.state("sampling", "f32", [sampling.length], Float32Array.from(sampling)),
    seed: site.state("seed", "u64", [1], BigUint64Array.of(42n)),
  };
}
