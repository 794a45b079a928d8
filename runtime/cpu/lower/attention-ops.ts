import { byteSize } from "../../../src/ir/dtype.ts";
import type { Node, ValueId } from "../../../src/ir/graph.ts";
import type { Dim } from "../../../src/ir/shape.ts";
import { attentionScratchBytes } from "../kernels/attention.ts";
import { floatType, type Lowering, operand, result } from "./lowering.ts";
import type { StorageId } from "./step.ts";

export function lowerRope(to: Lowering, node: Extract<Node, { op: "rope" }>, label: string): void {
  const x = to.at(operand(node, 0));
  const table = ropeTable(to, operand(node, 1), operand(node, 2), label);
  const y = to.define(result(node));
  const [rows = 1, heads = 1] = to.type(result(node)).shape;
  const half = to.type(operand(node, 2)).shape;
  to.kernel("rope", [x, table], [y], label, {
    groups: to.groups.get(node),
    encode: ({ address, size }) => ({
      args: {
        x: address(x),
        table: address(table),
        y: address(y),
        rows: size([rows]),
        heads: size([heads]),
        half: size(half),
      },
      extent: size([heads, rows]),
      granule: 1,
    }),
  });
}

/** Cosines and sines for positions and frequencies, made once for all that turn by them. */
function ropeTable(
  to: Lowering,
  positionValue: ValueId,
  frequencyValue: ValueId,
  label: string,
): StorageId {
  const key = `${positionValue} ${frequencyValue}`;
  const known = to.ropeTables.get(key);
  if (known !== undefined) return known;
  const rows = to.type(positionValue).shape;
  const half = to.type(frequencyValue).shape;
  const positions = to.at(positionValue);
  const frequencies = to.wide(frequencyValue);
  const table = to.store({
    kind: "temporary",
    type: { dtype: "f32", shape: [...rows, 2, ...half] },
  });
  to.kernel("rope_table", [positions, frequencies], [table], `${label}.table`, {
    encode: ({ address, size }) => ({
      args: {
        positions: address(positions),
        frequencies: address(frequencies),
        table: address(table),
        half: size(half),
      },
      extent: size(rows),
      granule: 1,
    }),
  });
  to.ropeTables.set(key, table);
  return table;
}

export function lowerAttention(
  to: Lowering,
  node: Extract<Node, { op: "attention" }>,
  label: string,
): void {
  const [q, keys, values, length] = [
    to.at(operand(node, 0)),
    to.at(operand(node, 1)),
    to.at(operand(node, 2)),
    to.at(operand(node, 3)),
  ];
  const maskValue = node.operands[4];
  const mask = maskValue === undefined ? undefined : to.at(maskValue);
  const words: Dim = maskValue === undefined ? 0 : (to.type(maskValue).shape[1] ?? 0);
  const y = to.define(result(node));
  const [rows = 1, heads = 1, width = 1] = to.type(result(node)).shape;
  const cache = to.type(operand(node, 1));
  const [slots = 1, groups = 1] = cache.shape;
  const reads = [q, keys, values, length, ...(mask === undefined ? [] : [mask])];
  to.kernel(`attention_${floatType(cache.dtype)}`, reads, [y], label, {
    groups: to.groups.get(node),
    encode: ({ address, size }) => ({
      args: {
        q: address(q),
        keys: address(keys),
        values: address(values),
        length: address(length),
        mask: mask === undefined ? 0 : address(mask),
        words: size([words]),
        y: address(y),
        rows: size([rows]),
        heads: size([heads]),
        groups: size([groups]),
        width: size([width]),
        slots: size([slots]),
        scale: node.attributes.scale,
      },
      extent: size([heads, rows]),
      granule: 1,
    }),
    scratchBytes: (size) => attentionScratchBytes(size([slots]), size([words]), size([width])),
  });
}

/** Rows to their slots; as they are, or rounded to the cache's 16-bit type. */
export function lowerCacheWrite(
  to: Lowering,
  node: Extract<Node, { op: "cache_write" }>,
  label: string,
): void {
  const [cache, x, start] = [
    to.at(operand(node, 0)),
    to.at(operand(node, 1)),
    to.at(operand(node, 2)),
  ];
  to.alias(result(node), cache);
  const { dtype, shape } = to.type(operand(node, 0));
  const given = to.type(operand(node, 1));
  const [slots, row] = [shape.slice(0, 1), shape.slice(1)];
  const rows = given.shape.slice(0, 1);
  const groups = to.groups.get(node);
  if (given.dtype === "f32" && (dtype === "f16" || dtype === "bf16")) {
    to.kernel(`cache_write_${dtype}`, [cache, x, start], [cache], label, {
      groups,
      encode: ({ address, size }) => ({
        args: {
          x: address(x),
          cache: address(cache),
          start: address(start),
          size: size(row),
          rows: size(rows),
          slots: size(slots),
        },
        extent: size(row),
        granule: 32,
      }),
    });
    return;
  }
  to.kernel("cache_copy", [cache, x, start], [cache], label, {
    groups,
    encode: ({ address, size }) => {
      const rowBytes = size(row) * byteSize(dtype);
      return {
        args: {
          x: address(x),
          cache: address(cache),
          start: address(start),
          rowBytes,
          rows: size(rows),
          slots: size(slots),
        },
        extent: rowBytes,
        granule: 64,
      };
    },
  });
}

export function lowerCacheCommit(
  to: Lowering,
  node: Extract<Node, { op: "cache_commit" }>,
  label: string,
): void {
  const [cache, path, count, length] = [
    to.at(operand(node, 0)),
    to.at(operand(node, 1)),
    to.at(operand(node, 2)),
    to.at(operand(node, 3)),
  ];
  to.alias(result(node), cache);
  const { dtype, shape } = to.type(operand(node, 0));
  const pathLength = to.type(operand(node, 1)).shape;
  to.kernel("cache_commit", [cache, path, count, length], [cache], label, {
    encode: ({ address, size }) => {
      const rowBytes = size(shape.slice(1)) * byteSize(dtype);
      return {
        args: {
          cache: address(cache),
          path: address(path),
          pathLength: size(pathLength),
          count: address(count),
          length: address(length),
          rowBytes,
          slots: size(shape.slice(0, 1)),
        },
        extent: rowBytes,
        granule: 64,
      };
    },
  });
}
