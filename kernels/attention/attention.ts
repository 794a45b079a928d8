import type { Target } from "../../src/ir/program.ts";
import type { Allocator, KernelCall } from "../entry.ts";
import { attentionOnCudaCores } from "./cuda-core.ts";
import type { AttentionOp } from "./op.ts";
import { attentionOnTensorCores, fitsTensorCores } from "./tensor-core.ts";

export type { AttentionMask, AttentionOp, AttentionOperand } from "./op.ts";
export { maxTreeDepth } from "./partition.ts";

/**
 * softmax(scale · q · keysᵀ) · values, each row over the slots it sees. A token's result is the same
 * to the bit as a single row, as a row of a prompt and as a node of a tree: sums are divided by the
 * absolute positions of query and keys alone.
 * @throws RangeError when heads is no multiple of kvHeads.
 */
export function attention(op: AttentionOp, target: Target, memory: Allocator): KernelCall[] {
  if (op.heads % op.kvHeads !== 0)
    throw new RangeError(`${op.heads} heads cannot share ${op.kvHeads} key-value heads evenly`);
  const onTensorCores = target.activations === "stored" && fitsTensorCores(op);
  return [(onTensorCores ? attentionOnTensorCores : attentionOnCudaCores)(op, target, memory)];
}
