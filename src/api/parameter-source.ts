import type { Graph } from "../ir/graph.ts";
import { sourcesOf, typeOf } from "../ir/graph.ts";
import type { ParameterSource } from "../../runtime/executor.ts";
import type { WeightInfo } from "../weights/bind.ts";
import type { TensorFile } from "../weights/tensor-file.ts";

/** Draft heads' parameters carry this before their name in the checkpoint. */
export const headsPrefix = "heads.";

/** Parameters of graphs with their shapes, split by the checkpoint they come from. */
export function expectedTensors(
  graphs: readonly Graph[],
): Record<"base" | "heads", { name: string; shape: number[] }[]> {
  const shapes = new Map<string, number[]>();
  for (const graph of graphs) {
    for (const { name, value } of sourcesOf(graph, "parameter"))
      shapes.set(name, typeOf(graph, value).shape.map(Number));
  }
  const all = [...shapes].map(([name, shape]) => ({ name, shape }));
  return {
    base: all.filter(({ name }) => !name.startsWith(headsPrefix)),
    heads: all
      .filter(({ name }) => name.startsWith(headsPrefix))
      .map(({ name, shape }) => ({ name: name.slice(headsPrefix.length), shape })),
  };
}

/** Tensors of one checkpoint by the names the model has for them. */
export interface BoundTensors {
  readonly file: TensorFile;
  readonly tensors: ReadonlyMap<string, WeightInfo>;
}

/** Weights on disk as an executor asks for them. */
export interface CheckpointSource extends ParameterSource {
  /** Name and file of a parameter's tensor. */
  origin(parameter: string): WeightInfo | undefined;
}

/** A base checkpoint and draft heads as the one source an executor loads from. */
export function parameterSource(base: BoundTensors, heads?: BoundTensors): CheckpointSource {
  const parameters = new Map<string, WeightInfo>();
  const files = new Map<string, TensorFile>();
  for (const [prefix, part] of [
    ["", base],
    [headsPrefix, heads],
  ] as const) {
    for (const [name, info] of part?.tensors ?? []) {
      parameters.set(prefix + name, info);
      if (part !== undefined) files.set(prefix + name, part.file);
    }
  }
  return {
    parameters,
    origin: (parameter) => parameters.get(parameter),
    async read(parameter, into, offset) {
      const info = parameters.get(parameter);
      const file = files.get(parameter);
      if (info === undefined || file === undefined)
        throw new RangeError(`no checkpoint holds ${parameter}`);
      await file.read(info.name, into, offset);
    },
  };
}
