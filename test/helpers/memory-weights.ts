import type { ParameterSource } from "../../runtime/executor.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import { encodeFloats } from "../../src/ir/float-formats.ts";
import { type Graph, sourcesOf, typeOf } from "../../src/ir/graph.ts";
import type { Random } from "./random.ts";

export interface MemoryWeight {
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Weights that never were in a file. */
export function memoryWeights(weights: Readonly<Record<string, MemoryWeight>>): ParameterSource {
  return {
    parameters: new Map(Object.entries(weights)),
    async read(name, into, offset = 0) {
      const weight = weights[name];
      if (weight === undefined) throw new Error(`no weight ${name}`);
      into.set(encodeFloats(weight.dtype, weight.data).subarray(offset, offset + into.length));
    },
  };
}

/** Random weights for every parameter of the graphs, scaled so that activations stay near 1. */
export function randomWeights(graphs: readonly Graph[], random: Random): ParameterSource {
  const weights: Record<string, MemoryWeight> = {};
  for (const graph of graphs) {
    for (const { name, value } of sourcesOf(graph, "parameter")) {
      if (weights[name] !== undefined) continue;
      const { dtype, shape } = typeOf(graph, value);
      const dims = shape.map(Number);
      const size = dims.reduce((product, dim) => product * dim, 1);
      const isNorm = dims.length === 1 && !name.endsWith("bias");
      const scale = dims.length === 1 ? 0.1 : 1.5 / Math.sqrt(dims.at(-1) ?? 1);
      const data = random.normals(size, scale).map((item) => (isNorm ? 1 + item : item));
      weights[name] = { dtype: dtype as FloatDType, shape: dims, data };
    }
  }
  return memoryWeights(weights);
}
