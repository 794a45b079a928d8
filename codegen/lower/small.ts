import { accept } from "../../kernels/accept/accept.ts";
import { attention } from "../../kernels/attention/attention.ts";
import { cacheCommit, cacheWrite } from "../../kernels/cache/cache.ts";
import { elementwise } from "../../kernels/elementwise/elementwise.ts";
import { embedding } from "../../kernels/embedding/embedding.ts";
import { cudaTypes, type Elements, type KernelCall } from "../../kernels/entry.ts";
import { rmsNorm } from "../../kernels/rms-norm/rms-norm.ts";
import { rope } from "../../kernels/rope/rope.ts";
import { rows } from "../../kernels/rows/rows.ts";
import { topkPartials, topkTiles } from "../../kernels/topk/topk.ts";
import type { Node } from "../../src/ir/graph.ts";
import type { BufferId } from "../../src/ir/program.ts";
import type { Group } from "../fused-graph.ts";
import { type SplitNorm, splitNorm } from "../passes/fuse-norms.ts";
import { groupLabel, type LoweringContext } from "./context.ts";
import {
  type Epilogue,
  epilogueName,
  epilogueStatements,
  epilogueTraffic,
  recordRowSums,
} from "./epilogue.ts";
import { elementsOfValue } from "./expression.ts";
import { bestOutputs, floatType, memory, rankingCall } from "./products.ts";

/** The first node of an op in a group. */
function only<K extends Node["op"]>(group: Group, op: K): Extract<Node, { op: K }> {
  const found = group.nodes.find((node): node is Extract<Node, { op: K }> => node.op === op);
  if (found === undefined) throw new RangeError(`a ${group.kind} group without ${op}`);
  return found;
}

export function lowerAttention(context: LoweringContext, group: Group): readonly KernelCall[] {
  const node = only(group, "attention");
  const [q = -1, keys = -1, values = -1, length = -1, words] = node.operands;
  const [rows = 1, heads = 1, headDim = 1] = context.shapeOf(q);
  const [capacity = 1, kvHeads = 1] = context.shapeOf(keys);
  const results = context.wanted(group.nodes);
  return results.flatMap((result) =>
    attention(
      {
        q: memory(context, q),
        keys: memory(context, keys),
        values: memory(context, values),
        length: elementsOfValue(context, length),
        mask:
          words === undefined
            ? { kind: "causal" }
            : {
                kind: "tree",
                words: elementsOfValue(context, words),
                wordsPerRow: context.shapeOf(words)[1] ?? 1,
              },
        rows,
        heads,
        kvHeads,
        headDim,
        capacity,
        scale: node.attributes.scale,
        out: { buffer: context.store(result), dtype: floatType(context, result) },
        label: groupLabel(group.nodes),
      },
      context.target,
      context.buffers.memory,
    ),
  );
}

export function lowerRmsNorm(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands, attributes } = only(group, "rms_norm");
  const [x = -1, w = -1] = operands;
  const [width = 1] = context.shapeOf(w);
  return [
    rmsNorm({
      x: context.buffer(x),
      weight: memory(context, w),
      rows: context.analysis.elements(x) / width,
      width,
      eps: attributes.eps,
      outputs: context.wanted(group.nodes).map((value) => ({
        buffer: context.store(value),
        dtype: floatType(context, value),
      })),
      label: groupLabel(group.nodes),
    }),
  ];
}

export function lowerEmbedding(context: LoweringContext, group: Group): readonly KernelCall[] {
  const node = only(group, "embedding");
  const [table = -1, tokens = -1] = node.operands;
  const [vocabulary = 1, width = 1] = context.shapeOf(table);
  const rows = context.analysis.elements(tokens);
  const write = group.nodes.find((one) => one.op === "cache_write");
  const split = splitNorm(group.nodes);
  const elsewhere = new Set([
    ...(split === undefined ? [] : [split.normed, ...split.norm.results]),
    ...(write?.results ?? []),
  ]);
  const epilogue: Epilogue = {
    results: node.results,
    nodes: group.nodes.filter(
      (one) => one !== node && !one.results.some((value) => elsewhere.has(value)),
    ),
    stores: context.wanted(group.nodes).filter((value) => !elsewhere.has(value)),
    split,
    width,
  };
  const sums =
    split && context.buffers.scratch({ dtype: "f32", shape: [rows, 1] }, "sums of squares");
  const call = embedding({
    table: memory(context, table),
    vocabulary,
    width,
    rows,
    tokens: elementsOfValue(context, tokens),
    statements: (entry, { row, column, value }) =>
      epilogueStatements(context, entry, epilogue, { row, column, values: [value] }),
    ...(sums === undefined ? {} : { squares: { buffer: sums, value: "squared" } }),
    ...(write === undefined
      ? {}
      : {
          perRow: (entry, { row }) => {
            const [cache = -1, , start = -1] = write.operands;
            const history = entry.buffer("history", context.buffer(cache), cudaTypes.i32, "update");
            const slot = elementsOfValue(context, start)(entry)("0");
            const token = elementsOfValue(context, tokens)(entry)(row);
            return `${history}[${slot} + ${row}] = ${token};`;
          },
        }),
    name: epilogueName(epilogue, context),
    writtenBytes: epilogueTraffic(context, epilogue).writtenBytes,
    label: groupLabel(group.nodes),
  });
  if (split !== undefined && sums !== undefined) recordRowSums(context, split, sums, 1, width);
  return [call];
}

export function lowerRope(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands, results } = only(group, "rope");
  const [x = -1, positions = -1, frequencies = -1] = operands;
  const [rows = 1, heads = 1, headDim = 1] = context.shapeOf(x);
  const [result = -1] = results;
  return [
    rope({
      x: context.buffer(x),
      rows,
      heads,
      headDim,
      positions: elementsOfValue(context, positions),
      inverseFrequencies: context.buffer(frequencies),
      out: { buffer: context.store(result), dtype: floatType(context, result) },
      label: groupLabel(group.nodes),
    }),
  ];
}

export function lowerCacheWrite(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands } = only(group, "cache_write");
  const [cache = -1, x = -1, start = -1] = operands;
  const [rows = 1, ...row] = context.shapeOf(x);
  return [
    cacheWrite({
      x: elementsOfValue(context, x),
      cache: { buffer: context.buffer(cache), dtype: context.typeOf(cache).dtype },
      rowSize: row.reduce((product, dim) => product * dim, 1),
      rows,
      start: elementsOfValue(context, start),
      label: groupLabel(group.nodes),
    }),
  ];
}

export function lowerCacheCommit(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands } = only(group, "cache_commit");
  const [, path = -1, count = -1, length = -1] = operands;
  return cacheCommit({
    groups: group.nodes.map(({ operands: [cache = -1] }) => {
      const [, ...row] = context.shapeOf(cache);
      return {
        caches: [context.buffer(cache)],
        dtype: context.typeOf(cache).dtype,
        rowSize: row.reduce((product, dim) => product * dim, 1),
      };
    }),
    path: elementsOfValue(context, path),
    count: elementsOfValue(context, count),
    length: elementsOfValue(context, length),
    pathLength: context.analysis.elements(path),
    label:
      group.nodes.length > 2 ? `commit of ${group.nodes.length} caches` : groupLabel(group.nodes),
  });
}

export function lowerTopk(context: LoweringContext, group: Group): readonly KernelCall[] {
  const [node] = group.nodes;
  const [logits = -1] = node?.operands ?? [];
  const [rows = 1, width = 1] = context.shapeOf(logits);
  if (node === undefined) return [];
  const k = node.op === "topk" ? node.attributes.k : 1;
  const best = bestOutputs(context, logits, rows, topkTiles(width), k);
  return [
    topkPartials({
      x: context.buffer(logits),
      rows,
      width,
      k,
      partialValues: best.values,
      partialIds: best.ids,
      label: groupLabel(group.nodes),
    }),
    rankingCall(context, node, logits),
  ];
}

export function lowerAccept(context: LoweringContext, group: Group): readonly KernelCall[] {
  const [node] = group.nodes;
  if (node?.op !== "accept_match" && node?.op !== "accept_typical") return [];
  const [
    logits = -1,
    tokens = -1,
    parents = -1,
    length = -1,
    history = -1,
    sampling = -1,
    seed = -1,
  ] = node.operands;
  const [nodes = 1, vocabulary = 1] = context.shapeOf(logits);
  const [path = -1, count = -1, following = -1] = node.results;
  const calls: KernelCall[] = [];
  let best = context.bestOutputs.get(logits);
  if (best === undefined) {
    best = bestOutputs(context, logits, nodes, topkTiles(vocabulary), 1);
    calls.push(
      topkPartials({
        x: context.buffer(logits),
        rows: nodes,
        width: vocabulary,
        k: 1,
        partialValues: best.values,
        partialIds: best.ids,
        label: groupLabel(group.nodes),
      }),
    );
  }
  const of = (value: number) => elementsOfValue(context, value);
  return [
    ...calls,
    ...accept(
      {
        rule: node.op === "accept_match" ? "match" : "typical",
        logits: context.buffer(logits),
        partialValues: best.values,
        partialIds: best.ids,
        tiles: best.tiles,
        vocabulary,
        nodes,
        tokens: of(tokens),
        parents: of(parents),
        length: of(length),
        history: of(history),
        sampling: of(sampling),
        seed: of(seed),
        pathLength: node.attributes.pathLength,
        path: context.store(path),
        count: context.store(count),
        following: context.store(following),
        label: groupLabel(group.nodes),
      },
      context.buffers.memory,
    ),
  ];
}

/** Values that get memory of their own; with a norm after them, row by row. */
export function lowerElementwise(context: LoweringContext, group: Group): readonly KernelCall[] {
  const [result = -1] = group.nodes[0]?.results ?? [];
  const split = splitNorm(group.nodes);
  const out = context.buffers.scratch(context.typeOf(result), groupLabel(group.nodes));
  const value = elementsOfValue(context, result);
  const call =
    split === undefined
      ? elementwise({
          value,
          dtype: context.typeOf(result).dtype,
          elements: context.analysis.elements(result),
          out,
          label: groupLabel(group.nodes),
        })
      : lowerRows(context, group, split, value, out);
  // Only now: while the text was written the value had to be computed, not read.
  context.place(result, out);
  return [call];
}

function lowerRows(
  context: LoweringContext,
  group: Group,
  split: SplitNorm,
  value: Elements,
  out: BufferId,
): KernelCall {
  const [result = -1] = group.nodes[0]?.results ?? [];
  const [count = 1, width = 1] = context.shapeOf(result);
  const sums = context.buffers.scratch({ dtype: "f32", shape: [count, 1] }, "sums of squares");
  const epilogue: Epilogue = { results: [result], nodes: [], stores: [], split, width };
  const call = rows({
    value,
    rows: count,
    width,
    statements: (entry, { row, column, value: name }) => {
      const stored = entry.buffer("out", out, cudaTypes.f32, "write");
      const rest = epilogueStatements(context, entry, epilogue, { row, column, values: [name] });
      return `${stored}[${row} * ${width} + ${column}] = ${name};\n${rest}`;
    },
    squares: { buffer: sums, value: "squared" },
    name: epilogueName(epilogue, context),
    writtenBytes: epilogueTraffic(context, epilogue).writtenBytes + 4 * count * width,
    label: groupLabel(group.nodes),
  });
  recordRowSums(context, split, sums, 1, width);
  return call;
}
