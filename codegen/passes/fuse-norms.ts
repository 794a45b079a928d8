import type { Node, ValueId } from "../../src/ir/graph.ts";
import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph, Group } from "../fused-graph.ts";

/** A norm taken apart: its producer stores x·w and sums of squares, the products scale by row. */
export interface SplitNorm {
  readonly norm: Extract<Node, { op: "rms_norm" }>;
  /** What the products take for their activation: the norm's result, or that rounded. */
  readonly normed: ValueId;
}

/**
 * An RMSNorm between two products needs no kernel: a row's factor 1/sqrt(mean(x²) + eps) commutes
 * with the product, so the producer of x stores x·w and adds up squares, and the products multiply
 * their sums. Only where x·w has the exponents of f32: f16 could overflow before it is scaled.
 */
export function fuseNorms(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  for (const group of fused.groups) {
    if (group.kind !== "rms_norm") continue;
    const split = splitNorm(group.nodes);
    const [x = -1] = split?.norm.operands ?? [];
    const producer = analysis.groupOf(analysis.maker(x));
    if (split === undefined || producer === undefined) continue;
    if (!canProduce(analysis, producer, split) || !onlyProducts(analysis, group, split)) continue;
    analysis.replace([producer, group], {
      ...producer,
      nodes: inOrder(analysis, [...producer.nodes, ...group.nodes]),
    });
  }
  return analysis.fused();
}

/** The norm at the end of a group, if there is one. */
export function splitNorm(nodes: readonly Node[]): SplitNorm | undefined {
  const norm = nodes.find((node) => node.op === "rms_norm");
  if (norm === undefined) return undefined;
  const [result = -1] = norm.results;
  const casts = nodes.filter((node) => node.op === "cast" && node.operands[0] === result);
  if (casts.length > 1) return undefined;
  return { norm, normed: casts[0]?.results[0] ?? result };
}

function canProduce(analysis: Analysis, producer: Group, { norm }: SplitNorm): boolean {
  if (!["linear", "embedding", "elementwise"].includes(producer.kind)) return false;
  if (splitNorm(producer.nodes) !== undefined) return false;
  const [x = -1] = norm.operands;
  const { shape } = analysis.graph.types[x] ?? { shape: [] };
  const whole = analysis.graph.types[producer.nodes[0]?.results[0] ?? -1]?.shape ?? [];
  return shape.length === 2 && shape[1] === whole[1];
}

/** Nothing but products may see the unscaled rows. */
function onlyProducts(analysis: Analysis, group: Group, { norm, normed }: SplitNorm): boolean {
  const { dtype } = analysis.graph.types[normed] ?? { dtype: "f16" };
  if (dtype === "f16" || analysis.isKept(normed)) return false;
  const [result = -1] = norm.results;
  if (normed !== result && analysis.usedOutside(result, new Set(group.nodes))) return false;
  return analysis
    .users(normed)
    .every(
      (user) => (user.op === "linear" && user.operands[0] === normed) || group.nodes.includes(user),
    );
}
