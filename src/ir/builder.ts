import { HydrantError } from "../util/errors.ts";
import { type DType, isFloat } from "./dtype.ts";
import type { Graph, Node, Source, SourceKind, ValueId } from "./graph.ts";
import { inferTypes, TypeRuleError } from "./infer.ts";
import type { OpAttributes, OpName } from "./op.ts";
import { type Dim, type Shape, type TensorType, tensor } from "./shape.ts";

/** A value under construction, with its type at hand. */
export interface Value {
  readonly id: ValueId;
  readonly type: TensorType;
}

type One = readonly [Value];
type Two = readonly [Value, Value];
type Three = readonly [Value, Value, Value];
type Results = {
  [K in OpName]: K extends "topk" ? Two : K extends "accept_match" | "accept_typical" ? Three : One;
};

/**
 * Builds a graph in execution order. Every method appends one node, checks its types and returns
 * its result; `scope` prefixes the labels of what is built inside it.
 *
 * Methods throw HydrantError `ir/type` when an op's type rule is broken.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #sources: Source[] = [];
  readonly #sourceValues = new Map<string, Value>();
  readonly #nodes: Node[] = [];
  readonly #types: TensorType[] = [];
  readonly #outputs: { name: string; value: ValueId }[] = [];
  readonly #updates = new Map<string, ValueId>();
  readonly #constants = new Map<string, Value>();
  #scope = "";

  constructor(name: string) {
    this.#name = name;
  }

  /** Labels of nodes built in `body` start with `name.`. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${name}.`;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** A weight by name; asking twice for one name gives the same value. */
  parameter(name: string, type: TensorType): Value {
    return this.#source("parameter", name, type);
  }

  input(name: string, type: TensorType): Value {
    return this.#source("input", name, type);
  }

  /**
   * The current value of a state: what the last `update` in this graph gave it, else what it held
   * when the run began.
   */
  state(name: string, type: TensorType): Value {
    const updated = this.#updates.get(name);
    if (updated !== undefined) return { id: updated, type };
    return this.#source("state", name, type);
  }

  update(name: string, value: Value): void {
    this.#updates.set(name, value.id);
  }

  output(name: string, value: Value): void {
    this.#outputs.push({ name, value: value.id });
  }

  constant(
    dtype: Exclude<DType, "u64">,
    data: readonly number[],
    shape: Shape = [data.length],
  ): Value {
    return this.#constant({ dtype, shape }, [...data]);
  }

  /** u64 words, for attention masks. */
  constantWords(data: Iterable<bigint>, shape: Shape): Value {
    return this.#constant({ dtype: "u64", shape }, [...data].map(String));
  }

  iota(size: Dim): Value {
    return this.#append("iota", [], { size })[0];
  }

  add(a: Value, b: Value, label?: string): Value {
    return this.#append("add", [a, b], {}, label)[0];
  }

  mul(a: Value, b: Value, label?: string): Value {
    return this.#append("mul", [a, b], {}, label)[0];
  }

  silu(x: Value, label?: string): Value {
    return this.#append("silu", [x], {}, label)[0];
  }

  /** The value itself when it has the type already. */
  cast(x: Value, to: DType): Value {
    return x.type.dtype === to ? x : this.#append("cast", [x], { to })[0];
  }

  reshape(x: Value, ...shape: Dim[]): Value {
    return this.#append("reshape", [x], { shape })[0];
  }

  /** The operand itself when there is only one. */
  concat(operands: readonly Value[], axis: number, label?: string): Value {
    const [first] = operands;
    if (operands.length === 1 && first !== undefined) return first;
    return this.#append("concat", operands, { axis }, label)[0];
  }

  gather(x: Value, index: Value, label?: string): Value {
    return this.#append("gather", [x, index], {}, label)[0];
  }

  embedding(table: Value, ids: Value, label?: string): Value {
    return this.#append("embedding", [table, ids], {}, label)[0];
  }

  linear(x: Value, weight: Value, bias?: Value, label?: string): Value {
    return this.#append("linear", bias ? [x, weight, bias] : [x, weight], {}, label)[0];
  }

  rmsNorm(x: Value, weight: Value, eps: number, label?: string): Value {
    return this.#append("rms_norm", [x, weight], { eps }, label)[0];
  }

  rope(x: Value, positions: Value, inverseFrequencies: Value, label?: string): Value {
    return this.#append("rope", [x, positions, inverseFrequencies], {}, label)[0];
  }

  /** Attention with a tree mask when `mask` is given, else causal. */
  attention(
    {
      q,
      keys,
      values,
      length,
      mask,
    }: { q: Value; keys: Value; values: Value; length: Value; mask?: Value | undefined },
    scale: number,
    label?: string,
  ): Value {
    const operands =
      mask === undefined ? [q, keys, values, length] : [q, keys, values, length, mask];
    return this.#append("attention", operands, { scale, mask: mask ? "tree" : "causal" }, label)[0];
  }

  cacheWrite(cache: Value, rows: Value, start: Value, label?: string): Value {
    return this.#append("cache_write", [cache, rows, start], {}, label)[0];
  }

  cacheCommit(cache: Value, path: Value, count: Value, length: Value, label?: string): Value {
    return this.#append("cache_commit", [cache, path, count, length], {}, label)[0];
  }

  argmax(x: Value, label?: string): Value {
    return this.#append("argmax", [x], {}, label)[0];
  }

  topk(x: Value, k: number, label?: string): { values: Value; ids: Value } {
    const [values, ids] = this.#append("topk", [x], { k }, label);
    return { values, ids };
  }

  accept(
    rule: "accept_match" | "accept_typical",
    operands: {
      logits: Value;
      tokens: Value;
      parents: Value;
      length: Value;
      history: Value;
      sampling: Value;
      seed: Value;
    },
    pathLength: number,
  ): { path: Value; count: Value; following: Value } {
    const { logits, tokens, parents, length, history, sampling, seed } = operands;
    const [path, count, following] = this.#append(
      rule,
      [logits, tokens, parents, length, history, sampling, seed],
      { pathLength },
    );
    return { path, count, following };
  }

  finish(): Graph {
    return {
      name: this.#name,
      sources: this.#sources,
      nodes: this.#nodes,
      types: this.#types,
      outputs: this.#outputs,
      updates: [...this.#updates].map(([state, value]) => ({ state, value })),
    };
  }

  /** Equal constants become one value: every layer asks for the same rotary frequencies. */
  #constant(type: TensorType, data: readonly number[] | readonly string[]): Value {
    const key = JSON.stringify([type, data]);
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const value = this.#append("constant", [], { data }, undefined, type)[0];
    this.#constants.set(key, value);
    return value;
  }

  #source(kind: SourceKind, name: string, type: TensorType): Value {
    const known = this.#sourceValues.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    const value = this.#define(type);
    this.#sources.push({ kind, name, value: value.id });
    this.#sourceValues.set(`${kind} ${name}`, value);
    return value;
  }

  #append<K extends OpName>(
    op: K,
    operands: readonly Value[],
    attributes: OpAttributes[K],
    label?: string,
    constantType?: TensorType,
  ): Results[K] {
    const unnamed = op === "constant" || (label === undefined && this.#scope === "");
    const path = unnamed ? undefined : `${this.#scope}${label ?? op}`;
    let types: readonly TensorType[];
    try {
      types = inferTypes(
        op,
        operands.map((value) => value.type),
        attributes,
        constantType,
      );
    } catch (error) {
      if (!(error instanceof TypeRuleError)) throw error;
      throw new HydrantError("ir/type", `${op} ${error.message}.`, {
        path: `${this.#name}/${path ?? op}`,
        cause: error,
      });
    }
    const results = types.map((type) => this.#define(type));
    this.#nodes.push({
      op,
      attributes,
      operands: operands.map((value) => value.id),
      results: results.map((value) => value.id),
      label: path,
    } as Node);
    return results as readonly Value[] as Results[K];
  }

  #define(type: TensorType): Value {
    this.#types.push(type);
    return { id: this.#types.length - 1, type };
  }
}

/** Type of a weight as stored. @throws HydrantError when it is not a float tensor. */
export function weightType(dtype: DType, ...shape: Dim[]): TensorType {
  if (!isFloat(dtype)) throw new HydrantError("ir/type", `A weight cannot be ${dtype}.`);
  return tensor(dtype, ...shape);
}
