import { type Graph, type Node, typeOf } from "../../../src/ir/graph.ts";
import type { TensorType } from "../../../src/ir/shape.ts";
import { lowerAttention, lowerCacheCommit, lowerCacheWrite, lowerRope } from "./attention-ops.ts";
import {
  lowerAccept,
  lowerArgmax,
  lowerConcat,
  lowerConstant,
  lowerEmbedding,
  lowerGather,
  lowerIota,
  lowerTopk,
} from "./data-ops.ts";
import { Lowering, operand, result } from "./lowering.ts";
import { lowerBinary, lowerLinear, lowerRmsNorm, lowerSilu } from "./matrix-ops.ts";
import type { Lowered, LoweredOutput, StorageId } from "./step.ts";

/** Turns a graph into calls of CPU kernels, fusing what one kernel does in one go. */
export function lower(graph: Graph): Lowered {
  const to = new Lowering(graph);
  for (const { kind, name, value } of graph.sources) {
    const type = typeOf(graph, value);
    to.define(
      value,
      kind === "parameter" ? { kind, name, dtype: type.dtype } : { kind, name, type },
    );
  }
  for (const node of graph.nodes) {
    if (!to.fusions.skipped.has(node)) lowerNode(to, node);
  }
  const outputs = graph.outputs.map(({ name, value }): LoweredOutput => {
    const type = typeOf(graph, value);
    // A state changes once more at the end; the output is what it held before.
    return { name, storage: setAside(to, to.at(value), type), type };
  });
  updateStates(to);
  return { storages: to.storages, steps: to.steps, outputs };
}

function lowerNode(to: Lowering, node: Node): void {
  const label = node.label ?? node.op;
  switch (node.op) {
    case "constant":
      lowerConstant(to, node, label);
      break;
    case "iota":
      lowerIota(to, node);
      break;
    case "add":
    case "mul":
      lowerBinary(to, node, label);
      break;
    case "silu":
      lowerSilu(to, node, label);
      break;
    case "cast": {
      const { dtype } = to.type(operand(node, 0));
      const y = to.define(result(node));
      to.cast(to.at(operand(node, 0)), dtype, y, to.type(result(node)), label);
      break;
    }
    case "reshape":
      to.alias(result(node), to.at(operand(node, 0)));
      break;
    case "concat":
      lowerConcat(to, node, label);
      break;
    case "gather":
      lowerGather(to, node, label);
      break;
    case "embedding":
      lowerEmbedding(to, node, label);
      break;
    case "linear":
      lowerLinear(to, node, to.define(result(node)), label);
      break;
    case "rms_norm":
      lowerRmsNorm(to, node, label);
      break;
    case "rope":
      lowerRope(to, node, label);
      break;
    case "attention":
      lowerAttention(to, node, label);
      break;
    case "cache_write":
      lowerCacheWrite(to, node, label);
      break;
    case "cache_commit":
      lowerCacheCommit(to, node, label);
      break;
    case "argmax":
      lowerArgmax(to, node, label);
      break;
    case "topk":
      lowerTopk(to, node, label);
      break;
    case "accept_match":
    case "accept_typical":
      lowerAccept(to, node, label);
      break;
    default:
      node satisfies never;
  }
}

/** States take their new values together: what another state holds is set aside before any changes. */
function updateStates(to: Lowering): void {
  const pending: { from: StorageId; to: StorageId; type: TensorType; label: string }[] = [];
  for (const { state, value } of to.graph.updates) {
    const type = to.type(value);
    const known = to.storages.findIndex(
      (storage) => storage.kind === "state" && storage.name === state,
    );
    const target = known >= 0 ? known : to.store({ kind: "state", name: state, type });
    const from = to.at(value);
    if (from === target) continue;
    pending.push({ from: setAside(to, from, type), to: target, type, label: `update.${state}` });
  }
  for (const { from, to: target, type, label } of pending) to.copy(from, target, type, label);
}

/** A copy of what a state holds; any other storage itself. */
function setAside(to: Lowering, storage: StorageId, type: TensorType): StorageId {
  if (!to.isState(storage)) return storage;
  const copy = to.store({ kind: "temporary", type });
  to.copy(storage, copy, type, "set_aside");
  return copy;
}
