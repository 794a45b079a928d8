import { HydrantError } from "../util/errors.ts";
import { type Graph, type Node, sourcesOf, type ValueId } from "./graph.ts";
import { inferTypes, TypeRuleError } from "./infer.ts";
import { writesFirstOperand } from "./op.ts";
import { printNode } from "./print.ts";
import { formatType, sameType } from "./shape.ts";

/**
 * Checks that a graph is well formed: every value defined once and before its use, every type what
 * the op's rule gives, every update fits its state, and no value used after an op wrote over it
 * (caches are changed in place).
 * @param stage name of the pass that made the graph, for the message.
 * @throws HydrantError `ir/verify` naming the node.
 */
export function verifyGraph(graph: Graph, stage = "builder"): void {
  const defined = new Set<ValueId>();
  const overwritten = new Map<ValueId, string>();
  const fail = (where: string, message: string): never => {
    throw new HydrantError("ir/verify", `After ${stage}: ${message}.`, {
      path: `${graph.name}/${where}`,
    });
  };
  const use = (value: ValueId, where: string) => {
    if (!defined.has(value)) fail(where, `%${value} is used before it is defined`);
    const writer = overwritten.get(value);
    if (writer !== undefined) fail(where, `%${value} is used after ${writer} wrote over it`);
  };
  const define = (value: ValueId, where: string) => {
    if (defined.has(value)) fail(where, `%${value} is defined twice`);
    if (graph.types[value] === undefined) fail(where, `%${value} has no type`);
    defined.add(value);
  };

  const names = new Set<string>();
  for (const { kind, name, value } of graph.sources) {
    if (names.has(`${kind} ${name}`)) fail(name, `${kind} "${name}" is declared twice`);
    names.add(`${kind} ${name}`);
    define(value, name);
  }
  for (const node of graph.nodes) {
    const where = node.label ?? printNode(graph, node);
    for (const operand of node.operands) use(operand, where);
    for (const result of node.results) define(result, where);
    checkTypes(graph, node, (message) => fail(where, message));
    const [target] = node.operands;
    if (writesFirstOperand(node.op) && target !== undefined) overwritten.set(target, where);
  }
  const states = new Map(sourcesOf(graph, "state").map((source) => [source.name, source]));
  for (const { state, value } of graph.updates) {
    use(value, `update ${state}`);
    const source = states.get(state);
    if (source === undefined) {
      fail(`update ${state}`, `there is no state "${state}"`);
    } else if (!sameType(typeAt(graph, source.value), typeAt(graph, value))) {
      fail(
        `update ${state}`,
        `the state is ${formatType(typeAt(graph, source.value))}, the value ${formatType(typeAt(graph, value))}`,
      );
    }
  }
  for (const { name, value } of graph.outputs) use(value, `output ${name}`);
}

function checkTypes(graph: Graph, node: Node, fail: (message: string) => void): void {
  const declared = node.results.map((value) => typeAt(graph, value));
  try {
    const inferred = inferTypes(
      node.op,
      node.operands.map((value) => typeAt(graph, value)),
      node.attributes as never,
      declared[0],
    );
    const same =
      inferred.length === declared.length &&
      inferred.every((type, at) => sameType(type, declared[at] ?? type));
    if (!same)
      fail(
        `${node.op} gives ${inferred.map(formatType).join(", ")}, declared ${declared.map(formatType).join(", ")}`,
      );
  } catch (error) {
    if (!(error instanceof TypeRuleError)) throw error;
    fail(`${node.op} ${error.message}`);
  }
}

function typeAt(graph: Graph, value: ValueId) {
  const type = graph.types[value];
  if (type === undefined)
    throw new HydrantError("ir/verify", `%${value} has no type.`, { path: graph.name });
  return type;
}
