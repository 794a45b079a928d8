import { isFloat } from "./dtype.ts";
import { type OpAttributes, type OpName, operandCounts, samplingFields } from "./op.ts";
import { type Dim, formatType, sameShape, type Shape, type TensorType, tensor } from "./shape.ts";

/** A violated type rule; the verifier and the builder add where it happened. */
export class TypeRuleError extends Error {
  override readonly name = "TypeRuleError";
}

type Rules = {
  readonly [K in OpName]: (
    operands: readonly TensorType[],
    attributes: OpAttributes[K],
    constantType: TensorType | undefined,
  ) => readonly TensorType[];
};

/**
 * Types of an op's results.
 * @param constantType declared type of a `constant`, whose data alone does not tell it.
 * @throws TypeRuleError naming the operand that breaks the rule.
 */
export function inferTypes<K extends OpName>(
  op: K,
  operands: readonly TensorType[],
  attributes: OpAttributes[K],
  constantType?: TensorType,
): readonly TensorType[] {
  const [min, max] = operandCounts[op];
  if (operands.length < min || operands.length > max) {
    throw new TypeRuleError(
      `takes ${min === max ? min : `${min} to ${max}`} operands, got ${operands.length}`,
    );
  }
  return rules[op](operands, attributes, constantType);
}

const rules: Rules = {
  constant: (_, { data }, type) => {
    if (type === undefined) throw new TypeRuleError("needs a declared type");
    const size = staticSize(type.shape, "its shape");
    if (size !== data.length)
      throw new TypeRuleError(`has ${data.length} numbers for ${formatType(type)}`);
    const words = data.every((item) => typeof item === "string");
    if (data.length > 0 && words !== (type.dtype === "u64")) {
      throw new TypeRuleError(`data does not fit ${type.dtype}`);
    }
    return [type];
  },
  iota: (_, { size }) => [tensor("i32", size)],
  add: (operands) => {
    const [a, b] = two(operands);
    if (a.dtype !== "i32") requireF32(a, "a");
    broadcastInto(a, b);
    return [a];
  },
  mul: (operands) => {
    const [a, b] = two(operands);
    requireF32(a, "a");
    broadcastInto(a, b);
    return [a];
  },
  silu: ([x]) => [requireF32(x, "x")],
  cast: ([x], { to }) => {
    const type = need(x, "x");
    if (!isFloat(type.dtype) || !isFloat(to))
      throw new TypeRuleError("converts between float types only");
    return [{ dtype: to, shape: type.shape }];
  },
  reshape: ([x], { shape }) => {
    const type = need(x, "x");
    if (!sameSize(type.shape, shape)) {
      throw new TypeRuleError(`cannot view ${formatType(type)} as [${shape.join(", ")}]`);
    }
    return [{ dtype: type.dtype, shape }];
  },
  concat: (operands, { axis }) => {
    const first = need(operands[0], "first operand");
    if (!(axis >= 0 && axis < first.shape.length))
      throw new TypeRuleError(`axis ${axis} is out of range`);
    let extent = 0;
    for (const [index, type] of operands.entries()) {
      const fits =
        type.dtype === first.dtype &&
        type.shape.length === first.shape.length &&
        type.shape.every((dim, at) => at === axis || dim === first.shape[at]);
      if (!fits) {
        throw new TypeRuleError(
          `operand ${index} is ${formatType(type)}, beside ${formatType(first)}`,
        );
      }
      extent += staticDim(type.shape[axis], `axis ${axis} of operand ${index}`);
    }
    return [
      { dtype: first.dtype, shape: first.shape.map((dim, at) => (at === axis ? extent : dim)) },
    ];
  },
  gather: (operands) => {
    const [x, index] = two(operands);
    const [count] = requireType(index, "i32", 1, "index");
    if (x.shape.length === 0) throw new TypeRuleError("cannot gather from a scalar");
    return [{ dtype: x.dtype, shape: [count, ...x.shape.slice(1)] }];
  },
  embedding: (operands) => {
    const [table, ids] = two(operands);
    const [, width] = requireWeight(table, 2, "table");
    const [rows] = requireType(ids, "i32", 1, "ids");
    return [tensor("f32", rows, width)];
  },
  linear: ([x, w, bias]) => {
    const [rows, depth] = requireWeight(x, 2, "x");
    const [outputs, weightDepth] = requireWeight(w, 2, "w");
    requireF32Or(x, w, "x", "w");
    requireEqual(depth, weightDepth, "columns of x", "columns of w");
    if (bias !== undefined) {
      const [size] = requireWeight(bias, 1, "bias");
      requireEqual(size, outputs, "bias", "rows of w");
    }
    return [tensor("f32", rows, outputs)];
  },
  rms_norm: (operands) => {
    const [x, w] = two(operands);
    requireF32(x, "x");
    const [width] = requireWeight(w, 1, "w");
    requireEqual(x.shape.at(-1) ?? 1, width, "last axis of x", "w");
    return [x];
  },
  rope: ([x, positions, inverse]) => {
    const [rows, , width] = requireType(x, "f32", 3, "x");
    const [count] = requireType(positions, "i32", 1, "positions");
    const [half] = requireType(inverse, "f32", 1, "inv_freq");
    requireEqual(rows, count, "rows of x", "positions");
    requireEqual(
      staticDim(width, "last axis of x"),
      2 * staticDim(half, "inv_freq"),
      "head size",
      "twice inv_freq",
    );
    return [need(x, "x")];
  },
  attention: ([q, keys, values, length, mask], attributes) => {
    const [rows, heads, width] = requireWeight(q, 3, "q");
    requireF32Or(q, keys, "q", "keys");
    const [slots, groups, keyWidth] = requireWeight(keys, 3, "keys");
    const cache = need(values, "values");
    if (!sameShape(cache.shape, need(keys, "keys").shape))
      throw new TypeRuleError("keys and values differ in shape");
    if (cache.dtype !== need(keys, "keys").dtype)
      throw new TypeRuleError("keys and values differ in type");
    requireEqual(width, keyWidth, "head size of q", "head size of keys");
    if (staticDim(heads, "heads") % staticDim(groups, "key-value heads") !== 0) {
      throw new TypeRuleError(`${heads} heads are not a multiple of ${groups} key-value heads`);
    }
    requireScalar(length, "i32", "length");
    if ((attributes.mask === "tree") !== (mask !== undefined)) {
      throw new TypeRuleError(
        `mask "${attributes.mask}" ${mask ? "takes no" : "needs a"} mask operand`,
      );
    }
    if (mask !== undefined) {
      const [maskRows] = requireType(mask, "u64", 2, "mask");
      requireEqual(maskRows, rows, "rows of mask", "rows of q");
    }
    if (slots === undefined) throw new TypeRuleError("keys have no slots");
    return [{ ...need(q, "q"), dtype: "f32" }];
  },
  cache_write: ([cache, x, start]) => {
    const type = need(cache, "cache");
    const rows = need(x, "x");
    const compatible = rows.dtype === type.dtype || (rows.dtype === "f32" && isFloat(type.dtype));
    if (!compatible || !sameShape(type.shape.slice(1), rows.shape.slice(1))) {
      throw new TypeRuleError(`cannot store rows of ${formatType(rows)} in ${formatType(type)}`);
    }
    requireScalar(start, "i32", "start");
    return [type];
  },
  cache_commit: ([cache, path, count, length]) => {
    requireType(path, "i32", 1, "path");
    requireScalar(count, "i32", "count");
    requireScalar(length, "i32", "length");
    return [need(cache, "cache")];
  },
  argmax: ([x]) => {
    const [rows] = requireType(x, "f32", 2, "x");
    return [tensor("i32", rows)];
  },
  topk: ([x], { k }) => {
    const [rows, width] = requireType(x, "f32", 2, "x");
    if (!(Number.isInteger(k) && k > 0 && k <= staticDim(width, "columns of x"))) {
      throw new TypeRuleError(`k = ${k} is not between 1 and ${width}`);
    }
    return [tensor("f32", rows, k), tensor("i32", rows, k)];
  },
  accept_match: acceptTypes,
  accept_typical: acceptTypes,
};

function acceptTypes(
  [logits, tokens, parents, length, history, sampling, seed]: readonly TensorType[],
  { pathLength }: { readonly pathLength: number },
): readonly TensorType[] {
  const [rows] = requireType(logits, "f32", 2, "logits");
  const [nodes] = requireType(tokens, "i32", 1, "tokens");
  const [links] = requireType(parents, "i32", 1, "parents");
  requireEqual(nodes, rows, "tokens", "rows of logits");
  requireEqual(links, rows, "parents", "rows of logits");
  requireScalar(length, "i32", "length");
  requireType(history, "i32", 1, "history");
  const [fields] = requireType(sampling, "f32", 1, "sampling");
  requireEqual(fields, samplingFields.length, "sampling", "its fields");
  requireScalar(seed, "u64", "seed");
  return [tensor("i32", pathLength), tensor("i32", 1), tensor("i32", pathLength)];
}

function need(type: TensorType | undefined, what: string): TensorType {
  if (type === undefined) throw new TypeRuleError(`${what} is missing`);
  return type;
}

function two(operands: readonly TensorType[]): readonly [TensorType, TensorType] {
  return [need(operands[0], "first operand"), need(operands[1], "second operand")];
}

function requireF32(type: TensorType | undefined, what: string): TensorType {
  if (need(type, what).dtype !== "f32")
    throw new TypeRuleError(`${what} must be f32, is ${formatType(need(type, what))}`);
  return need(type, what);
}

/** An activation is f32, or already rounded to the type of what it meets. */
function requireF32Or(
  x: TensorType | undefined,
  other: TensorType | undefined,
  what: string,
  otherWhat: string,
): void {
  const { dtype } = need(x, what);
  if (dtype !== "f32" && dtype !== need(other, otherWhat).dtype) {
    throw new TypeRuleError(`${what} is ${dtype}: it must be f32 or the type of ${otherWhat}`);
  }
}

function requireType(
  type: TensorType | undefined,
  dtype: TensorType["dtype"],
  rank: number,
  what: string,
): Shape & { 0: Dim; 1: Dim; 2: Dim } {
  const found = need(type, what);
  if (found.dtype !== dtype || found.shape.length !== rank) {
    throw new TypeRuleError(`${what} must be ${dtype} with ${rank} axes, is ${formatType(found)}`);
  }
  return found.shape as Shape & { 0: Dim; 1: Dim; 2: Dim };
}

function requireWeight(
  type: TensorType | undefined,
  rank: number,
  what: string,
): Shape & { 0: Dim; 1: Dim; 2: Dim } {
  const found = need(type, what);
  if (!isFloat(found.dtype) || found.shape.length !== rank) {
    throw new TypeRuleError(
      `${what} must be a float tensor with ${rank} axes, is ${formatType(found)}`,
    );
  }
  return found.shape as Shape & { 0: Dim; 1: Dim; 2: Dim };
}

function requireScalar(
  type: TensorType | undefined,
  dtype: TensorType["dtype"],
  what: string,
): void {
  const [size] = requireType(type, dtype, 1, what);
  requireEqual(size, 1, what, "one element");
}

function requireEqual(a: Dim, b: Dim, what: string, other: string): void {
  if (a !== b) throw new TypeRuleError(`${what} (${a}) and ${other} (${b}) differ`);
}

function broadcastInto(a: TensorType, b: TensorType): void {
  const suffix = a.shape.slice(a.shape.length - b.shape.length);
  const fits = a.dtype === b.dtype || (a.dtype === "f32" && isFloat(b.dtype));
  const scalar = b.shape.length === 1 && b.shape[0] === 1;
  if (!fits || !(scalar || (b.shape.length <= a.shape.length && sameShape(suffix, b.shape)))) {
    throw new TypeRuleError(`${formatType(b)} does not broadcast into ${formatType(a)}`);
  }
}

function staticDim(dim: Dim | undefined, what: string): number {
  if (typeof dim !== "number")
    throw new TypeRuleError(`${what} must be a number, is ${String(dim)}`);
  return dim;
}

function staticSize(shape: Shape, what: string): number {
  return shape.reduce<number>((product, dim) => product * staticDim(dim, what), 1);
}

/** Equal element counts for every binding: the same symbols, and the same product of numbers. */
function sameSize(a: Shape, b: Shape): boolean {
  const symbols = (shape: Shape) =>
    shape
      .filter((dim) => typeof dim === "string")
      .sort()
      .join();
  const product = (shape: Shape) =>
    shape.reduce<number>((total, dim) => (typeof dim === "number" ? total * dim : total), 1);
  return symbols(a) === symbols(b) && product(a) === product(b);
}
