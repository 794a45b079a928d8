import type { OpAttributes, OpName } from "./op.ts";
import type { TensorType } from "./shape.ts";

/** A value's index: `%12` in the text form. Unique in its graph, defined before it is used. */
export type ValueId = number;

/**
 * Where a value comes from when no op makes it:
 * - `parameter`: a weight, bound by name when the graph is loaded;
 * - `input`: given for each run;
 * - `state`: lives on the device between runs (KV caches, lengths), shared by name among the
 *   graphs of a session.
 */
export type SourceKind = "parameter" | "input" | "state";

export interface Source {
  readonly kind: SourceKind;
  readonly name: string;
  readonly value: ValueId;
}

/** One operation. `label` says what it is in the model (`layers.0.q_proj`), for people. */
export type Node = {
  readonly [K in OpName]: {
    readonly op: K;
    readonly attributes: OpAttributes[K];
    readonly operands: readonly ValueId[];
    readonly results: readonly ValueId[];
    readonly label: string | undefined;
  };
}[OpName];

/**
 * A graph in static single assignment form. `nodes` are in execution order. `updates` name the
 * states that hold new values after a run; they take effect together, at the end.
 */
export interface Graph {
  readonly name: string;
  readonly sources: readonly Source[];
  readonly nodes: readonly Node[];
  /** Type of every value, indexed by `ValueId`. */
  readonly types: readonly TensorType[];
  readonly outputs: readonly { readonly name: string; readonly value: ValueId }[];
  readonly updates: readonly { readonly state: string; readonly value: ValueId }[];
}

export function sourcesOf(graph: Graph, kind: SourceKind): readonly Source[] {
  return graph.sources.filter((source) => source.kind === kind);
}

/** @throws RangeError when the graph has no such value. */
export function typeOf(graph: Graph, value: ValueId): TensorType {
  const type = graph.types[value];
  if (type === undefined) throw new RangeError(`graph ${graph.name} has no value %${value}`);
  return type;
}
