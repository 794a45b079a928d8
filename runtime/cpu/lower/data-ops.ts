import { byteSize } from "../../../src/ir/dtype.ts";
import type { Node } from "../../../src/ir/graph.ts";
import type { Shape, TensorType } from "../../../src/ir/shape.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { floatType, type Lowering, operand, result } from "./lowering.ts";

export function lowerConstant(
  to: Lowering,
  node: Extract<Node, { op: "constant" }>,
  label: string,
): void {
  const type = to.type(result(node));
  const { data } = node.attributes;
  if (type.dtype === "u64") {
    to.define(result(node), {
      kind: "constant",
      type,
      fill: ({ u64 }) => u64.set(data.map(BigInt)),
    });
    return;
  }
  const narrow = type.dtype === "f16" || type.dtype === "bf16";
  const stored: TensorType = narrow ? { ...type, dtype: "f32" } : type;
  const constant = {
    kind: "constant",
    type: stored,
    fill: ({ i32, f32 }: { i32: Int32Array; f32: Float32Array }) =>
      (stored.dtype === "i32" ? i32 : f32).set(data.map(Number)),
  } as const;
  if (narrow) to.cast(to.store(constant), "f32", to.define(result(node)), type, label);
  else to.define(result(node), constant);
}

export function lowerIota(to: Lowering, node: Extract<Node, { op: "iota" }>): void {
  const type = to.type(result(node));
  to.define(result(node), {
    kind: "constant",
    type,
    fill: ({ i32 }) => {
      for (let index = 0; index < i32.length; index++) i32[index] = index;
    },
  });
}

/** Each operand's runs go to their places; no order among them. */
export function lowerConcat(
  to: Lowering,
  node: Extract<Node, { op: "concat" }>,
  label: string,
): void {
  const { axis } = node.attributes;
  const { dtype, shape } = to.type(result(node));
  const y = to.define(result(node));
  const outer = shape.slice(0, axis);
  const before: Shape[] = [];
  for (const value of node.operands) {
    const from = to.at(value);
    const piece = to.type(value).shape.slice(axis);
    const preceding = [...before];
    before.push(piece);
    to.kernel("copy_runs", [from], [y], label, {
      encode: ({ address, size }) => {
        const bytesOf = (part: Shape) => size(part) * byteSize(dtype);
        return {
          args: {
            from: address(from),
            to: address(y) + preceding.reduce((sum, part) => sum + bytesOf(part), 0),
            bytes: bytesOf(piece),
            fromStride: bytesOf(piece),
            toStride: bytesOf(shape.slice(axis)),
          },
          extent: size(outer),
          granule: 1,
        };
      },
    });
  }
}

export function lowerGather(
  to: Lowering,
  node: Extract<Node, { op: "gather" }>,
  label: string,
): void {
  const [x, index] = [to.at(operand(node, 0)), to.at(operand(node, 1))];
  const y = to.define(result(node));
  const { dtype, shape } = to.type(operand(node, 0));
  const rows = to.type(operand(node, 1)).shape;
  to.kernel("gather", [x, index], [y], label, {
    encode: ({ address, size }) => ({
      args: {
        x: address(x),
        index: address(index),
        y: address(y),
        rowBytes: size(shape.slice(1)) * byteSize(dtype),
        available: size(shape.slice(0, 1)),
      },
      extent: size(rows),
      granule: 1,
    }),
  });
}

export function lowerEmbedding(
  to: Lowering,
  node: Extract<Node, { op: "embedding" }>,
  label: string,
): void {
  const [table, ids] = [to.at(operand(node, 0)), to.at(operand(node, 1))];
  const y = to.define(result(node));
  const { dtype, shape } = to.type(operand(node, 0));
  const rows = to.type(operand(node, 1)).shape;
  to.kernel(`embedding_${floatType(dtype)}`, [table, ids], [y], label, {
    encode: ({ address, size }) => ({
      args: {
        table: address(table),
        ids: address(ids),
        y: address(y),
        width: size(shape.slice(1)),
        available: size(shape.slice(0, 1)),
      },
      extent: size(rows),
      granule: 1,
    }),
  });
}

export function lowerArgmax(
  to: Lowering,
  node: Extract<Node, { op: "argmax" }>,
  label: string,
): void {
  const x = to.at(operand(node, 0));
  const ids = to.define(result(node));
  const { shape } = to.type(operand(node, 0));
  to.kernel("argmax", [x], [ids], label, {
    encode: ({ address, size }) => ({
      args: { x: address(x), ids: address(ids), columns: size(shape.slice(1)) },
      extent: size(shape.slice(0, 1)),
      granule: 1,
    }),
  });
}

export function lowerTopk(to: Lowering, node: Extract<Node, { op: "topk" }>, label: string): void {
  const x = to.at(operand(node, 0));
  const [values, ids] = [to.define(result(node, 0)), to.define(result(node, 1))];
  const { shape } = to.type(operand(node, 0));
  const { k } = node.attributes;
  to.kernel("topk", [x], [values, ids], label, {
    encode: ({ address, size }) => ({
      args: {
        x: address(x),
        values: address(values),
        ids: address(ids),
        k,
        columns: size(shape.slice(1)),
      },
      extent: size(shape.slice(0, 1)),
      granule: 1,
    }),
  });
}

export function lowerAccept(
  to: Lowering,
  node: Extract<Node, { op: "accept_match" | "accept_typical" }>,
  label: string,
): void {
  const vocabulary = to.type(operand(node, 0)).shape[1];
  if (typeof vocabulary !== "number") {
    throw new HydrantError("executor/graph", "The vocabulary's size must be a number.", {
      path: `${to.graph.name}/${label}`,
    });
  }
  to.steps.push({
    kind: "accept",
    node,
    reads: node.operands.map((value) => to.at(value)),
    writes: node.results.map((value) => to.define(value)),
    label,
    vocabulary,
  });
}
