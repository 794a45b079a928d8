import type { KernelCall } from "../../kernels/entry.ts";
import { tileCount, tileOutputs } from "../../kernels/linear/tiling.ts";
import { type LinearOp, linear } from "../../kernels/linear/linear.ts";
import { topkMerge } from "../../kernels/topk/topk.ts";
import { needsLogits } from "../../kernels/accept/accept.ts";
import { type FloatDType, isFloat } from "../../src/ir/dtype.ts";
import type { Node, ValueId } from "../../src/ir/graph.ts";
import type { BufferId } from "../../src/ir/program.ts";
import type { Group } from "../fused-graph.ts";
import { splitNorm } from "../passes/fuse-norms.ts";
import { ropeRoles } from "../passes/fuse-rope-cache.ts";
import { productsOf } from "../passes/pair-linears.ts";
import { type BestOutputs, groupLabel, type LoweringContext } from "./context.ts";
import {
  type Epilogue,
  epilogueName,
  epilogueStatements,
  epilogueTraffic,
  recordRowSums,
} from "./epilogue.ts";
import { elementsOfValue } from "./expression.ts";

type LinearNode = Extract<Node, { op: "linear" }>;
type Shared = Pick<LinearOp, "x" | "inputs" | "rows" | "weights" | "rowScale" | "label">;

/** Products with element-wise work after them. */
export function lowerLinear(context: LoweringContext, group: Group): readonly KernelCall[] {
  const products = productsOf(group);
  const shared = sharedOperands(context, products, group.nodes);
  const width = shared.weights[0]?.outputs ?? 0;
  const split = splitNorm(group.nodes);
  const unstored = new Set(split === undefined ? [] : [split.normed, ...split.norm.results]);
  const epilogue: Epilogue = {
    results: products.flatMap(({ results }) => results),
    nodes: group.nodes.filter(
      (node) => node.op !== "linear" && !node.results.some((value) => unstored.has(value)),
    ),
    stores: context.wanted(group.nodes).filter((value) => !unstored.has(value)),
    split,
    width,
  };
  const tiles = tileCount({ ...shared, epilogue: { kind: "elementwise" } });
  const sums =
    split &&
    context.buffers.scratch({ dtype: "f32", shape: [shared.rows, tiles] }, "sums of squares");
  const calls = linear(
    {
      ...shared,
      epilogue: {
        kind: "elementwise",
        name: epilogueName(epilogue, context),
        statements: (entry, place) => epilogueStatements(context, entry, epilogue, place),
        ...(sums === undefined ? {} : { squares: { buffer: sums, value: "squared" } }),
        ...epilogueTraffic(context, epilogue),
      },
    },
    context.target,
    context.buffers.memory,
  );
  if (split !== undefined && sums !== undefined) recordRowSums(context, split, sums, tiles, width);
  return calls;
}

/** Projections that end rotated, in queries and caches. */
export function lowerRopeLinear(context: LoweringContext, group: Group): readonly KernelCall[] {
  const roles = ropeRoles(context.analysis, group);
  const first = roles.find(({ rope }) => rope !== undefined)?.rope;
  if (first === undefined) throw new RangeError("a rope group without rope");
  const [, positions = -1, frequencies = -1] = first.operands;
  const start = roles.find(({ write }) => write !== undefined)?.write?.operands[2];
  const cache = (role: "k" | "v") => {
    const write = roles.find((one) => one.role === role)?.write;
    return write && memory(context, write.operands[0] ?? -1);
  };
  const queries = roles.find(({ role }) => role === "q")?.stored;
  const [keys, values] = [cache("k"), cache("v")];
  return linear(
    {
      ...sharedOperands(
        context,
        roles.flatMap(({ linear: node }) => (node.op === "linear" ? [node] : [])),
        group.nodes,
      ),
      epilogue: {
        kind: "rope-cache",
        headDim: context.shapeOf(first.results[0] ?? -1)[2] ?? 0,
        roles: roles.map(({ role }) => role),
        positions: elementsOfValue(context, positions),
        inverseFrequencies: context.buffer(frequencies),
        ...(start === undefined ? {} : { start: elementsOfValue(context, start) }),
        ...(queries === undefined
          ? {}
          : { q: { buffer: context.store(queries), dtype: floatType(context, queries) } }),
        ...(keys === undefined ? {} : { keys }),
        ...(values === undefined ? {} : { values }),
      },
    },
    context.target,
    context.buffers.memory,
  );
}

/** A product that keeps the best of its outputs, then their ranking. */
export function lowerTopkLinear(context: LoweringContext, group: Group): readonly KernelCall[] {
  const [product] = productsOf(group);
  if (product === undefined) throw new RangeError("a ranking group without a product");
  const shared = sharedOperands(context, [product], group.nodes);
  const [logits = -1] = product.results;
  const ranking = group.nodes.find(({ op }) => op === "topk" || op === "argmax");
  const k = ranking?.op === "topk" ? ranking.attributes.k : 1;
  const shape = { ...shared, epilogue: { kind: "topk" } } as const;
  const [tiles, tileWidth] = [tileCount(shape), tileOutputs(shape)];
  const partials = bestOutputs(context, logits, shared.rows, { tiles, tileWidth }, k);
  const accept = context.analysis
    .users(logits)
    .find((user) => user.op === "accept_match" || user.op === "accept_typical");
  const others =
    context.analysis.isKept(logits) ||
    context.analysis.users(logits).some((user) => user !== accept && !group.nodes.includes(user));
  const when =
    accept === undefined || others
      ? undefined
      : needsLogits(
          accept.op === "accept_match" ? "match" : "typical",
          elementsOfValue(context, accept.operands[5] ?? -1),
        );
  const calls = linear(
    {
      ...shared,
      epilogue: {
        kind: "topk",
        k,
        partialValues: partials.values,
        partialIds: partials.ids,
        ...(accept === undefined && !others
          ? {}
          : { logits: { buffer: context.store(logits), when } }),
      },
    },
    context.target,
    context.buffers.memory,
  );
  return ranking === undefined ? calls : [...calls, rankingCall(context, ranking, logits)];
}

/** Memory for the best k of every tile of some logits. */
export function bestOutputs(
  context: LoweringContext,
  logits: ValueId,
  rows: number,
  { tiles, tileWidth }: Pick<BestOutputs, "tiles" | "tileWidth">,
  k: number,
): BestOutputs {
  const best = {
    values: context.buffers.scratch({ dtype: "f32", shape: [rows, tiles, k] }, "best values"),
    ids: context.buffers.scratch({ dtype: "i32", shape: [rows, tiles, k] }, "best ids"),
    tiles,
    tileWidth,
  };
  context.bestOutputs.set(logits, best);
  return best;
}

/** Merges the tiles' best into the results of a `topk` or `argmax`. */
export function rankingCall(context: LoweringContext, node: Node, logits: ValueId): KernelCall {
  const best = context.bestOutputs.get(logits);
  if (best === undefined) throw new RangeError("the best outputs of these logits are not there");
  const [rows = 1] = context.shapeOf(logits);
  const [first = -1, second] = node.results;
  const values =
    second === undefined || !context.analysis.usedOutside(first, new Set([node]))
      ? undefined
      : first;
  return topkMerge({
    partialValues: best.values,
    partialIds: best.ids,
    rows,
    tiles: best.tiles,
    k: node.op === "topk" ? node.attributes.k : 1,
    ...(values === undefined ? {} : { values: context.store(values) }),
    ids: context.store(second ?? first),
    label: groupLabel([node]),
  });
}

export function floatType(context: LoweringContext, value: ValueId): FloatDType {
  const { dtype } = context.typeOf(value);
  if (!isFloat(dtype)) throw new RangeError(`%${value} is ${dtype}, not a float`);
  return dtype;
}

/** A float value in memory. */
export function memory(
  context: LoweringContext,
  value: ValueId,
): { readonly buffer: BufferId; readonly dtype: FloatDType } {
  return { buffer: context.buffer(value), dtype: floatType(context, value) };
}

function sharedOperands(
  context: LoweringContext,
  products: readonly LinearNode[],
  nodes: readonly Node[],
): Shared {
  const [x = -1] = products[0]?.operands ?? [];
  const [rows = 1, inputs = 1] = context.shapeOf(x);
  const rowScale = context.rowSums.get(x);
  return {
    x: memory(context, x),
    inputs,
    rows,
    weights: products.map(({ operands: [, w = -1, bias] }) => ({
      ...memory(context, w),
      outputs: context.shapeOf(w)[0] ?? 0,
      ...(bias === undefined ? {} : { bias: memory(context, bias) }),
    })),
    ...(rowScale === undefined ? {} : { rowScale }),
    label: groupLabel(nodes),
  };
}
