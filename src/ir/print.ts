import type { Graph, Node, ValueId } from "./graph.ts";
import { typeOf } from "./graph.ts";
import { formatType } from "./shape.ts";

/**
 * The text form of a graph, one line per value-making thing; `parseGraph` is its inverse.
 *
 * ```
 * graph plain
 *   %0 = parameter "embed" : bf16[512, 64]
 *   %1 = input "tokens" : i32[rows]
 *   %2 = embedding %0, %1 : f32[rows, 64]  # embed
 *   output "hidden" = %2
 * ```
 */
export function printGraph(graph: Graph): string {
  const lines = [`graph ${graph.name}`];
  for (const { kind, name, value } of graph.sources) {
    lines.push(
      `  %${value} = ${kind} ${JSON.stringify(name)} : ${formatType(typeOf(graph, value))}`,
    );
  }
  for (const node of graph.nodes) lines.push(`  ${printNode(graph, node)}`);
  for (const { state, value } of graph.updates)
    lines.push(`  update ${JSON.stringify(state)} = %${value}`);
  for (const { name, value } of graph.outputs)
    lines.push(`  output ${JSON.stringify(name)} = %${value}`);
  return `${lines.join("\n")}\n`;
}

/** One node as in `printGraph`, without indentation. */
export function printNode(graph: Graph, node: Node): string {
  const types = node.results.map((value) => formatType(typeOf(graph, value))).join(", ");
  const operands = node.operands.length === 0 ? "" : ` ${references(node.operands)}`;
  const label = node.label === undefined ? "" : `  # ${node.label}`;
  return `${references(node.results)} = ${node.op}${operands}${printAttributes(node.attributes)} : ${types}${label}`;
}

function references(values: readonly ValueId[]): string {
  return values.map((value) => `%${value}`).join(", ");
}

function printAttributes(attributes: object): string {
  const entries = Object.entries(attributes);
  if (entries.length === 0) return "";
  return ` {${entries.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ")}}`;
}
