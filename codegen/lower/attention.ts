import { attention, maxTreeDepth } from "../../kernels/attention/attention.ts";
import type { KernelCall } from "../../kernels/entry.ts";
import type { ValueId } from "../../src/ir/graph.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { type Group, nodeOf } from "../fused-graph.ts";
import { groupLabel, type LoweringContext } from "./context.ts";
import { elementsOfValue } from "./expression.ts";
import { floatType, memory } from "./products.ts";

/** @throws HydrantError `codegen/tree-too-deep` for a mask with a longer path than kernels take. */
export function lowerAttention(context: LoweringContext, group: Group): readonly KernelCall[] {
  const node = nodeOf(group, "attention");
  const [q = -1, keys = -1, values = -1, length = -1, words] = node.operands;
  if (words !== undefined) checkTreeDepth(context, words, groupLabel(group.nodes));
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

/** Kernels tell a node's position by what it sees, and keep that many keys apart from full blocks. */
function checkTreeDepth(context: LoweringContext, words: ValueId, label: string): void {
  const maker = context.analysis.maker(words);
  if (maker?.op !== "constant") return;
  const [, perRow = 1] = context.shapeOf(words);
  const seen = maker.attributes.data.map((word) => bitsOf(BigInt(word)));
  for (let row = 0; row * perRow < seen.length; row++) {
    const nodes = seen.slice(row * perRow, (row + 1) * perRow).reduce((sum, bits) => sum + bits, 0);
    if (nodes <= maxTreeDepth) continue;
    throw new HydrantError(
      "codegen/tree-too-deep",
      `Node ${row} of the tree sees ${nodes} nodes, itself included; a GPU's attention takes ${maxTreeDepth}.`,
      { path: label, hint: "Use a shallower tree, and the ancestors mask for eagle-attn heads." },
    );
  }
}

function bitsOf(word: bigint): number {
  let bits = 0;
  for (let rest = word; rest > 0n; rest &= rest - 1n) bits++;
  return bits;
}
