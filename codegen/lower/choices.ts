import { accept } from "../../kernels/accept/accept.ts";
import type { KernelCall } from "../../kernels/entry.ts";
import { topkPartials, topkTiling } from "../../kernels/topk/topk.ts";
import type { Group } from "../fused-graph.ts";
import { groupLabel, type LoweringContext } from "./context.ts";
import { elementsOfValue } from "./expression.ts";
import { bestOutputs, rankingCall } from "./products.ts";

export function lowerTopk(context: LoweringContext, group: Group): readonly KernelCall[] {
  const [node] = group.nodes;
  const [logits = -1] = node?.operands ?? [];
  const [rows = 1, width = 1] = context.shapeOf(logits);
  if (node === undefined) return [];
  const k = node.op === "topk" ? node.attributes.k : 1;
  const best = bestOutputs(context, logits, rows, topkTiling(width), k);
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
    best = bestOutputs(context, logits, nodes, topkTiling(vocabulary), 1);
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
        tileWidth: best.tileWidth,
        vocabulary,
        nodes,
        tokens: of(tokens),
        parents: of(parents),
        length: of(length),
        history: of(history),
        sampling: of(sampling),
        seed: of(seed),
        pathLength: node.attributes.pathLength,
        path: context.store(path, "path"),
        count: context.store(count, "count"),
        following: context.store(following, "following"),
        label: groupLabel(group.nodes),
      },
      context.target,
      context.buffers.memory,
    ),
  ];
}
