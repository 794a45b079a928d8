import { cudaTypes, type KernelEntry } from "../../kernels/entry.ts";
import type { Node, ValueId } from "../../src/ir/graph.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { byteSize } from "../../src/ir/dtype.ts";
import type { SplitNorm } from "../passes/fuse-norms.ts";
import type { LoweringContext } from "./context.ts";
import { arithmetic, elementsOfValue } from "./expression.ts";

/** Element-wise work after a kernel's own: what it computes, what of it is stored. */
export interface Epilogue {
  /** The kernel's results, in the order of the C++ values it offers. */
  readonly results: readonly ValueId[];
  readonly nodes: readonly Node[];
  readonly stores: readonly ValueId[];
  /** A norm whose rows are stored unscaled, x·w. */
  readonly split?: SplitNorm | undefined;
  /** Width of a row: the stride of `row`. */
  readonly width: number;
}

interface Place {
  readonly row: string;
  readonly column: string;
  readonly values: readonly string[];
}

/** C++ statements of an epilogue at one element; `squared` names the value a split norm sums. */
export function epilogueStatements(
  context: LoweringContext,
  entry: KernelEntry,
  epilogue: Epilogue,
  { row, column, values }: Place,
): string {
  const names = new Map<ValueId, string>();
  for (const [index, result] of epilogue.results.entries()) names.set(result, values[index] ?? "");
  const flat = `${row} * ${epilogue.width} + ${column}`;
  const lines: string[] = [];
  for (const node of epilogue.nodes) {
    const [result = -1] = node.results;
    const operands = node.operands.map(
      (operand) => names.get(operand) ?? outside(context, entry, epilogue, operand, flat, column),
    );
    const name = `v${names.size}`;
    const type = cudaTypes[context.typeOf(result).dtype];
    if (node.op === "reshape") {
      names.set(result, operands[0] ?? "");
      continue;
    }
    lines.push(`const ${type} ${name} = ${arithmetic(context, entry, node, operands)};`);
    names.set(result, name);
  }
  for (const value of epilogue.stores) {
    const out = entry.buffer(
      "out",
      context.store(value),
      cudaTypes[context.typeOf(value).dtype],
      "write",
    );
    lines.push(`${out}[${flat}] = ${names.get(value)};`);
  }
  if (epilogue.split !== undefined) {
    const { norm, normed } = epilogue.split;
    const [x = -1, w = -1] = norm.operands;
    const type = cudaTypes[context.typeOf(normed).dtype];
    const weight = entry.buffer(
      "norm_weight",
      context.buffer(w),
      cudaTypes[context.typeOf(w).dtype],
      "read",
    );
    const out = entry.buffer("normed", context.store(normed), type, "write");
    lines.push(`const float squared = ${names.get(x)};`);
    lines.push(`${out}[${flat}] = from_float<${type}>(squared * to_float(${weight}[${column}]));`);
  }
  return lines.join("\n");
}

/** A word for the kernel's name: what is fused. */
export function epilogueName({ nodes, split, stores }: Epilogue, context: LoweringContext): string {
  const ops = nodes.flatMap(({ op }) => (op === "reshape" || op === "cast" ? [] : [op]));
  const types = stores.map((value) => context.typeOf(value).dtype);
  return [...ops, ...(split === undefined ? [] : ["norm"]), ...new Set(types)].join("_");
}

/** Bytes of memory the epilogue itself reads and writes. */
export function epilogueTraffic(
  context: LoweringContext,
  { nodes, results, stores, split }: Epilogue,
): { readonly readBytes: number; readonly writtenBytes: number } {
  const bytes = (value: ValueId): number =>
    context.analysis.elements(value) * byteSize(context.typeOf(value).dtype);
  const made = new Set([...results, ...nodes.flatMap((node) => node.results)]);
  const read = new Set(
    nodes.flatMap(({ operands }) => operands).filter((value) => !made.has(value)),
  );
  const written = [...stores, ...(split === undefined ? [] : [split.normed])];
  const total = (values: Iterable<ValueId>): number =>
    [...values].reduce((sum, value) => sum + bytes(value), 0);
  return { readBytes: total(read), writtenBytes: total(written) };
}

/** The tile's sums of squares go where products of the normed rows find them. */
export function recordRowSums(
  context: LoweringContext,
  split: SplitNorm,
  sums: BufferId,
  parts: number,
  width: number,
): void {
  const { eps } = split.norm.attributes;
  context.rowSums.set(split.normed, { sums, parts, width, eps });
}

function outside(
  context: LoweringContext,
  entry: KernelEntry,
  { width }: Epilogue,
  operand: ValueId,
  flat: string,
  column: string,
): string {
  const element = elementsOfValue(context, operand)(entry);
  const size = context.analysis.elements(operand);
  if (size === 1) return element("0");
  if (size === width && context.typeOf(operand).shape.length === 1) return element(column);
  return element(flat);
}
