import type { Node, ValueId } from "../../../src/ir/graph.ts";
import type { Shape } from "../../../src/ir/shape.ts";
import { linearScratchBytes } from "../kernels/linear.ts";
import { floatType, type Lowering, operand, result } from "./lowering.ts";
import type { StorageId } from "./step.ts";

/** Splits of columns begin at whole cache lines, so that threads do not write to the same one. */
const columnGranule = 16;

/** y = x · wᵀ (+ bias), norming x first and adding a residual where these were fused in. */
export function lowerLinear(
  to: Lowering,
  node: Extract<Node, { op: "linear" }>,
  y: StorageId,
  label: string,
  residualValue?: ValueId,
): void {
  const input = operand(node, 0);
  const normNode = to.fusions.norms.get(input);
  const x = to.at(normNode === undefined ? input : operand(normNode, 0));
  const norm = normNode === undefined ? undefined : to.wide(operand(normNode, 1));
  const w = to.at(operand(node, 1));
  const bias = node.operands[2] === undefined ? undefined : to.wide(node.operands[2]);
  const residual = residualValue === undefined ? undefined : to.at(residualValue);
  const { dtype, shape } = to.type(operand(node, 1));
  const [outputs = 1, depth = 1] = shape;
  const rows = to.type(input).shape.slice(0, 1);
  const optional = [norm, bias, residual].filter((storage) => storage !== undefined);
  to.kernel(`linear_${floatType(dtype)}`, [x, w, ...optional], [y], label, {
    columns: typeof outputs === "number" ? outputs : undefined,
    groups: to.groups.get(node),
    encode: ({ address, size }) => {
      const orNull = (storage: StorageId | undefined) =>
        storage === undefined ? 0 : address(storage);
      return {
        args: {
          x: address(x),
          w: address(w),
          y: address(y),
          bias: orNull(bias),
          residual: orNull(residual),
          norm: orNull(norm),
          eps: normNode?.attributes.eps ?? 0,
          rows: size(rows),
          depth: size([depth]),
          outputs: size([outputs]),
        },
        ...columnParts(size([outputs])),
      };
    },
    scratchBytes: (size) => linearScratchBytes(size(rows), size([depth])),
  });
}

/** An `add` or `mul`: fused with what makes its operand, or by itself. */
export function lowerBinary(
  to: Lowering,
  node: Extract<Node, { op: "add" | "mul" }>,
  label: string,
): void {
  const fusion = to.fusions.at.get(node);
  const y = to.define(result(node));
  switch (fusion?.kind) {
    case "residual":
      lowerLinear(to, fusion.linear, y, fusion.linear.label ?? label, fusion.residual);
      break;
    case "gated": {
      const [gate, up] = [to.at(fusion.gate), to.at(fusion.up)];
      const { rows, columns, width } = matrixOf(to.type(fusion.gate).shape);
      to.kernel("silu_mul", [gate, up], [y], label, {
        columns: width,
        encode: ({ address, size }) => ({
          args: {
            gate: address(gate),
            up: address(up),
            y: address(y),
            rows: size(rows),
            columns: size(columns),
          },
          ...columnParts(size(columns)),
        }),
      });
      break;
    }
    case undefined:
      lowerElementwise(to, node, y, label);
      break;
    default:
      fusion satisfies never;
  }
}

function lowerElementwise(
  to: Lowering,
  node: Extract<Node, { op: "add" | "mul" }>,
  y: StorageId,
  label: string,
): void {
  const [left, right] = [operand(node, 0), operand(node, 1)];
  const { dtype, shape } = to.type(left);
  const { shape: other } = to.type(right);
  const integer = dtype === "i32";
  const a = to.at(left);
  const b = integer ? to.at(right) : to.wide(right);
  const whole = other.length === shape.length && !(other[0] === 1 && shape[0] !== 1);
  const scalar = !whole && other.length === 1 && other[0] === 1;
  // Below full rank, one row of b, as wide as its whole, serves every row of a.
  const { rows, columns, width } = matrixOf(
    shape,
    whole || scalar ? 1 : shape.length - other.length,
  );
  to.kernel(node.op === "mul" ? "mul" : integer ? "add_i32" : "add", [a, b], [y], label, {
    columns: width,
    encode: ({ address, size }) => ({
      args: {
        a: address(a),
        b: address(b),
        y: address(y),
        rows: size(rows),
        columns: size(columns),
        stride: whole ? 4 * size(columns) : 0,
        scalar: scalar ? 1 : 0,
      },
      ...columnParts(size(columns)),
    }),
  });
}

export function lowerSilu(to: Lowering, node: Extract<Node, { op: "silu" }>, label: string): void {
  const x = to.at(operand(node, 0));
  const y = to.define(result(node));
  const { rows, columns, width } = matrixOf(to.type(result(node)).shape);
  to.kernel("silu", [x], [y], label, {
    columns: width,
    encode: ({ address, size }) => ({
      args: { x: address(x), y: address(y), rows: size(rows), columns: size(columns) },
      ...columnParts(size(columns)),
    }),
  });
}

export function lowerRmsNorm(
  to: Lowering,
  node: Extract<Node, { op: "rms_norm" }>,
  label: string,
): void {
  const x = to.at(operand(node, 0));
  const w = to.wide(operand(node, 1));
  const y = to.define(result(node));
  const width = to.type(operand(node, 1)).shape;
  const { shape } = to.type(result(node));
  const { eps } = node.attributes;
  to.kernel("rms_norm", [x, w], [y], label, {
    encode: ({ address, size }) => ({
      args: { x: address(x), w: address(w), y: address(y), width: size(width), eps },
      extent: size(shape) / size(width),
      granule: 1,
    }),
  });
}

/** A tensor as a matrix: the first `split` axes are its rows. A vector is one row. */
function matrixOf(
  shape: Shape,
  split = 1,
): { rows: Shape; columns: Shape; width: number | undefined } {
  const rows = shape.length > 1 ? shape.slice(0, split) : [];
  const columns = shape.slice(rows.length);
  const width = columns.every((dim) => typeof dim === "number")
    ? columns.reduce<number>((product, dim) => product * Number(dim), 1)
    : undefined;
  return { rows, columns, width };
}

function columnParts(columns: number): { extent: number; granule: number } {
  return { extent: columns, granule: columnGranule };
}
