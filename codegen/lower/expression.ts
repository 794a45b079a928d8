import { cudaTypes, type Elements, floatLiteral, type KernelEntry } from "../../kernels/entry.ts";
import type { DType } from "../../src/ir/dtype.ts";
import type { Node, ValueId } from "../../src/ir/graph.ts";
import { weightLayout } from "../../src/ir/weight-layout.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { LoweringContext } from "./context.ts";

/** C++ for an element: from a flat index to an expression of the value's element type. */
type Element = (index: string) => string;

/** What an entry computes already, so that a value used twice is one variable. */
const computed = new WeakMap<KernelEntry, Map<ValueId, Element>>();

/**
 * A value computed where it is used: index arithmetic, views, gathers and element-wise ops become
 * small functions of a flat index at the start of the kernel; what is in memory is read from there.
 */
export function elementsOfValue(context: LoweringContext, value: ValueId): Elements {
  return (entry) => element(context, entry, value);
}

function element(context: LoweringContext, entry: KernelEntry, value: ValueId): Element {
  const known = computed.get(entry) ?? new Map<ValueId, Element>();
  computed.set(entry, known);
  const found = known.get(value);
  if (found !== undefined) return found;
  const made = make(context, entry, value);
  known.set(value, made);
  return made;
}

function make(context: LoweringContext, entry: KernelEntry, value: ValueId): Element {
  const maker = context.analysis.maker(value);
  const literal = maker === undefined ? undefined : uniform(maker, context.typeOf(value).dtype);
  if (literal !== undefined) return () => literal;
  const buffer = context.find(value);
  if (buffer !== undefined) {
    const { dtype } = context.typeOf(value);
    const pointer = entry.buffer(parameterName(context, value), buffer, cudaTypes[dtype], "read");
    return (index) => `${pointer}[${index}]`;
  }
  if (maker === undefined) throw new RangeError(`%${value} is nowhere`);
  return compute(context, entry, maker, value);
}

function compute(
  context: LoweringContext,
  entry: KernelEntry,
  node: Node,
  value: ValueId,
): Element {
  const of = (operand: ValueId): Element => element(context, entry, operand);
  const [a = -1, b = -1] = node.operands;
  const define = (body: string): Element => {
    const { dtype } = context.typeOf(value);
    const name = entry.define(
      `f_${node.op}`,
      `[=](int i) -> ${cudaTypes[dtype]} { return ${body}; }`,
    );
    return (index) => `${name}(${index})`;
  };
  switch (node.op) {
    case "iota":
      return (index) => index;
    case "reshape":
      return of(a);
    case "add":
    case "mul":
    case "silu":
    case "cast": {
      const indices = node.operands.map((operand) => broadcast(context, operand, value, "i"));
      const operands = node.operands.map((operand, at) => of(operand)(indices[at] ?? "i"));
      return define(arithmetic(context, entry, node, operands));
    }
    case "gather": {
      const width = context
        .shapeOf(a)
        .slice(1)
        .reduce((product, dim) => product * dim, 1);
      const [x, index] = [of(a), of(b)];
      return define(
        width === 1 ? x(index("i")) : x(`${index(`i / ${width}`)} * ${width} + i % ${width}`),
      );
    }
    case "concat":
      return define(concat(context, node, node.operands.map(of)));
    case "embedding": {
      const table = entry.buffer(
        "table",
        context.buffer(a),
        cudaTypes[context.typeOf(a).dtype],
        "read",
      );
      const [, width = 1] = context.shapeOf(a);
      const id = of(b)(`i / ${width}`);
      if (weightLayout(context.typeOf(a).dtype, context.typeOf(a).shape) === "row-major")
        return define(`to_float(${table}[${id} * ${width} + i % ${width}])`);
      entry.include("kernels/pack/packed-index.cuh");
      return define(`to_float(${table}[packed_index<${width}>(${id}, i % ${width})])`);
    }
    default:
      throw new HydrantError("codegen/no-kernel", `${node.op} cannot be computed in place.`, {
        path: node.label ?? node.op,
      });
  }
}

/** C++ for one element-wise op; operands are expressions of their own types. */
export function arithmetic(
  context: LoweringContext,
  entry: KernelEntry,
  node: Node,
  operands: readonly string[],
): string {
  const [a = "", b = ""] = operands;
  const dtypes = node.operands.map((operand) => context.typeOf(operand).dtype);
  // The second operand of an add may be a stored 16-bit row.
  const wide = (text: string, dtype: DType | undefined): string =>
    dtype === "f16" || dtype === "bf16" ? `to_float(${text})` : text;
  switch (node.op) {
    case "add":
      return `${a} + ${wide(b, dtypes[1])}`;
    case "mul":
      return `${a} * ${wide(b, dtypes[1])}`;
    case "silu":
      entry.include("kernels/elementwise/functions.cuh");
      return `silu(${a})`;
    case "cast": {
      const { to } = node.attributes;
      const float = wide(a, dtypes[0]);
      return to === "f32" ? float : `from_float<${cudaTypes[to]}>(${float})`;
    }
    case "reshape":
      return a;
    default:
      throw new HydrantError("codegen/no-kernel", `${node.op} is not element-wise.`, {
        path: node.label ?? node.op,
      });
  }
}

/** Index into an operand that repeats over the result: a scalar, a row, or the whole. */
function broadcast(
  context: LoweringContext,
  operand: ValueId,
  result: ValueId,
  index: string,
): string {
  const [size, whole] = [context.analysis.elements(operand), context.analysis.elements(result)];
  if (size === whole) return index;
  return size === 1 ? "0" : `${index} % ${size}`;
}

function concat(
  context: LoweringContext,
  node: Extract<Node, { op: "concat" }>,
  operands: readonly Element[],
): string {
  const { axis } = node.attributes;
  const inner = context
    .shapeOf(node.operands[0] ?? -1)
    .slice(axis + 1)
    .reduce((product, dim) => product * dim, 1);
  const runs = node.operands.map((operand) => (context.shapeOf(operand)[axis] ?? 0) * inner);
  const whole = runs.reduce((sum, run) => sum + run, 0);
  let end = 0;
  const branches = operands.map((operand, at) => {
    const run = runs[at] ?? 0;
    const begin = end;
    end += run;
    const index = axis === 0 ? `i - ${begin}` : `i / ${whole} * ${run} + (i % ${whole} - ${begin})`;
    const test = axis === 0 ? `i < ${end}` : `i % ${whole} < ${end}`;
    const last = at === operands.length - 1;
    return last ? operand(index) : `${test} ? ${operand(index)} : `;
  });
  return branches.join("");
}

/** A literal for a constant that holds one number, however often. */
function uniform(node: Node, dtype: DType): string | undefined {
  if (node.op !== "constant") return undefined;
  const [first] = node.attributes.data;
  if (first === undefined || node.attributes.data.some((item) => item !== first)) return undefined;
  if (dtype === "f32")
    return Number.isFinite(Number(first)) ? floatLiteral(Number(first)) : undefined;
  if (dtype === "i32") return String(first);
  return dtype === "u64" ? `${first}ull` : undefined;
}

/**
 * A short C++ name for a parameter, after the source's name or the value's op. The prefix keeps it
 * apart from the names in kernel bodies.
 */
function parameterName(context: LoweringContext, value: ValueId): string {
  const source = context.analysis.source(value);
  // Layers differ in their numbers only: names without them keep their kernels equal.
  const name = source?.name ?? context.analysis.maker(value)?.op ?? "value";
  const part = name.split(".").findLast((piece) => /^[a-z]\w*$/i.test(piece)) ?? "value";
  return source?.kind === "parameter" ? "in_weight" : `in_${part}`;
}
