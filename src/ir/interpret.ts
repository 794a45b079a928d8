import { HydrantError } from "../util/errors.ts";
import { type Graph, type Node, typeOf, type ValueId } from "./graph.ts";
import { evaluateAccept } from "./reference/evaluate-accept.ts";
import * as ops from "./reference/ops.ts";
import { floats, ints, type ReferenceTensor, row, words, zeros } from "./reference/tensor.ts";
import { bindShape, type DimBindings } from "./shape.ts";

export interface Environment {
  /** Weights by name. */
  readonly parameters: (name: string) => ReferenceTensor;
  readonly inputs: Readonly<Record<string, ReferenceTensor>>;
  /** Read and changed by the run; a state seen for the first time starts as zeros. */
  readonly states: Map<string, ReferenceTensor>;
  readonly dims: DimBindings;
}

/**
 * The reference interpreter: the executable definition of every op, in f64, slow and obvious. All
 * other executors are tested against it.
 * @returns the graph's outputs by name.
 * @throws HydrantError `ir/run` naming the node, for an index or slot out of range.
 */
export function interpret(graph: Graph, environment: Environment): Record<string, ReferenceTensor> {
  const values = new Map<ValueId, ReferenceTensor>();
  const read = (value: ValueId): ReferenceTensor => {
    const found = values.get(value);
    if (found === undefined)
      throw new HydrantError("ir/run", `%${value} has no value.`, { path: graph.name });
    return found;
  };

  for (const { kind, name, value } of graph.sources) {
    const { dtype, shape } = typeOf(graph, value);
    switch (kind) {
      case "parameter":
        values.set(value, environment.parameters(name));
        break;
      case "input": {
        const input = environment.inputs[name];
        if (input === undefined)
          throw new HydrantError("ir/run", `Input "${name}" is missing.`, { path: graph.name });
        values.set(value, input);
        break;
      }
      case "state": {
        const state =
          environment.states.get(name) ?? zeros(dtype, bindShape(shape, environment.dims));
        environment.states.set(name, state);
        values.set(value, state);
        break;
      }
      default:
        kind satisfies never;
    }
  }

  for (const node of graph.nodes) {
    try {
      const results = evaluate(graph, node, node.operands.map(read), environment.dims);
      for (const [index, value] of node.results.entries()) {
        const result = results[index];
        if (result !== undefined) values.set(value, result);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new HydrantError("ir/run", `${node.op}: ${error.message}.`, {
        path: `${graph.name}/${node.label ?? `%${node.results[0]}`}`,
        cause: error,
      });
    }
  }

  const outputs = Object.fromEntries(
    graph.outputs.map(({ name, value }) => [name, copyOf(read(value))]),
  );
  // Copies, because two states may take the same value and are written in place later.
  const updates = graph.updates.map(({ state, value }) => {
    const held = environment.states.get(state);
    return [state, held === read(value) ? held : copyOf(read(value))] as const;
  });
  for (const [state, value] of updates) environment.states.set(state, value);
  return outputs;
}

function evaluate(
  graph: Graph,
  node: Node,
  operands: readonly ReferenceTensor[],
  dims: DimBindings,
): readonly ReferenceTensor[] {
  const operand = (index: number): ReferenceTensor => {
    const found = operands[index];
    if (found === undefined) throw new RangeError(`operand ${index} is missing`);
    return found;
  };
  const scalar = (index: number): number => ints(operand(index))[0] ?? 0;
  switch (node.op) {
    case "constant": {
      const { dtype, shape } = typeOf(graph, node.results[0] ?? 0);
      const out = zeros(dtype, bindShape(shape, dims));
      for (const [index, item] of node.attributes.data.entries()) {
        out.data[index] = out.data instanceof BigUint64Array ? BigInt(item) : Number(item);
      }
      return [out];
    }
    case "iota": {
      const size = bindShape([node.attributes.size], dims)[0] ?? 0;
      return [
        { dtype: "i32", shape: [size], data: Int32Array.from({ length: size }, (_, i) => i) },
      ];
    }
    case "add":
      return [ops.elementwise(operand(0), operand(1), (a, b) => a + b)];
    case "mul":
      return [ops.elementwise(operand(0), operand(1), (a, b) => a * b)];
    case "silu":
      return [ops.silu(operand(0))];
    case "cast":
      return [ops.cast(operand(0), node.attributes.to)];
    case "reshape":
      return [{ ...operand(0), shape: bindShape(node.attributes.shape, dims) }];
    case "concat":
      return [ops.concat(operands, node.attributes.axis)];
    case "gather":
      return [ops.gather(operand(0), operand(1))];
    case "embedding":
      return [ops.gather(operand(0), operand(1), "f32")];
    case "linear":
      return [ops.linear(operand(0), operand(1), operands[2])];
    case "rms_norm":
      return [ops.rmsNorm(operand(0), operand(1), node.attributes.eps)];
    case "rope":
      return [ops.rope(operand(0), operand(1), operand(2))];
    case "attention":
      return [
        ops.attention(
          operand(0),
          operand(1),
          operand(2),
          scalar(3),
          node.attributes.scale,
          operands[4],
        ),
      ];
    case "cache_write":
      return [ops.cacheWrite(operand(0), operand(1), scalar(2))];
    case "cache_commit":
      return [ops.cacheCommit(operand(0), operand(1), scalar(2), scalar(3))];
    case "argmax":
      return [perRow(operand(0), 1, "i32", (values) => [ops.argmax(values)], 1)];
    case "topk": {
      const { k } = node.attributes;
      const ids = perRow(operand(0), k, "i32", (values) => ops.topk(values, k));
      const values = perRow(operand(0), k, "f32", (all) =>
        ops.topk(all, k).map((id) => all[id] ?? 0),
      );
      return [values, ids];
    }
    case "accept_match":
    case "accept_typical": {
      const { path, count, following } = evaluateAccept(
        node.op,
        {
          logitsOf: (index) => row(operand(0), index),
          tokens: ints(operand(1)),
          parents: ints(operand(2)),
          length: scalar(3),
          history: ints(operand(4)),
          sampling: floats(operand(5)),
          seed: words(operand(6))[0] ?? 0n,
        },
        node.attributes.pathLength,
      );
      const vector = (data: Int32Array): ReferenceTensor => ({
        dtype: "i32",
        shape: [data.length],
        data,
      });
      return [vector(path), vector(Int32Array.of(count)), vector(following)];
    }
    default:
      return node satisfies never;
  }
}

function perRow(
  x: ReferenceTensor,
  width: number,
  dtype: "f32" | "i32",
  f: (values: Float64Array) => readonly number[],
  rank: 1 | 2 = 2,
): ReferenceTensor {
  const rows = x.shape[0] ?? 0;
  const out = zeros(dtype, rank === 1 ? [rows] : [rows, width]);
  const target = dtype === "i32" ? ints(out) : floats(out);
  for (let i = 0; i < rows; i++) target.set(f(row(x, i)), i * width);
  return out;
}

function copyOf(tensor: ReferenceTensor): ReferenceTensor {
  return { ...tensor, data: tensor.data.slice() };
}
