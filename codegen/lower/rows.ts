import { elementwise } from "../../kernels/elementwise/elementwise.ts";
import { embedding } from "../../kernels/embedding/embedding.ts";
import { cudaTypes, type Elements, type KernelCall } from "../../kernels/entry.ts";
import { rmsNorm } from "../../kernels/rms-norm/rms-norm.ts";
import { rope } from "../../kernels/rope/rope.ts";
import { rows } from "../../kernels/rows/rows.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { type Group, nodeOf } from "../fused-graph.ts";
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
import { floatType, memory } from "./products.ts";

export function lowerRmsNorm(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands, attributes } = nodeOf(group, "rms_norm");
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
  const node = nodeOf(group, "embedding");
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
  const { operands, results } = nodeOf(group, "rope");
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
