import { isFloat } from "../src/ir/dtype.ts";
import { decodeFloats } from "../src/ir/float-formats.ts";
import { type Graph, sourcesOf, typeOf } from "../src/ir/graph.ts";
import { interpret } from "../src/ir/interpret.ts";
import { type ReferenceTensor, zeros } from "../src/ir/reference/tensor.ts";
import { bindShape, type DimBindings, elementCount } from "../src/ir/shape.ts";
import { HydrantError } from "../src/util/errors.ts";
import type {
  Executable,
  Executor,
  LoadedWeights,
  ParameterSource,
  Session,
  TensorData,
  Tensors,
} from "./executor.ts";

/** The reference interpreter behind the executor contract: f64, single-threaded, the oracle. */
export class InterpreterExecutor implements Executor {
  readonly device = "interpreter";

  async load(source: ParameterSource, signal?: AbortSignal): Promise<LoadedWeights> {
    const weights = new Map<string, ReferenceTensor>();
    let byteLength = 0;
    for (const [name, { dtype, shape }] of source.parameters) {
      signal?.throwIfAborted();
      if (!isFloat(dtype))
        throw new HydrantError("executor/weight", `A weight cannot be ${dtype}.`, { path: name });
      const bytes = new Uint8Array(elementCount(shape) * (dtype === "f32" ? 4 : 2));
      await source.read(name, bytes);
      // Not `from`: it would first make a list of the elements.
      const data = new Float64Array(decodeFloats(dtype, bytes));
      if (!data.every(Number.isFinite)) {
        throw new HydrantError("executor/not-finite", "The tensor holds NaN or infinity.", {
          path: name,
        });
      }
      weights.set(name, { dtype, shape: bindShape(shape, {}), data });
      byteLength += bytes.byteLength;
    }
    return {
      byteLength,
      session: (dims) => new InterpreterSession(weights, dims),
      dispose: async () => weights.clear(),
    };
  }

  async dispose(): Promise<void> {}
}

class InterpreterSession implements Session {
  readonly #weights: ReadonlyMap<string, ReferenceTensor>;
  readonly #dims: DimBindings;
  readonly #states = new Map<string, ReferenceTensor>();

  constructor(weights: ReadonlyMap<string, ReferenceTensor>, dims: DimBindings) {
    this.#weights = weights;
    this.#dims = dims;
  }

  compile(graph: Graph): Executable {
    for (const { name, value } of sourcesOf(graph, "state")) {
      const { dtype, shape } = typeOf(graph, value);
      if (!this.#states.has(name))
        this.#states.set(name, zeros(dtype, bindShape(shape, this.#dims)));
    }
    return { run: (inputs, dims) => this.#run(graph, inputs, dims ?? {}), dispose: () => {} };
  }

  readState(name: string): TensorData {
    const { data } = this.#state(name);
    return data instanceof Float64Array ? Float32Array.from(data) : data.slice();
  }

  writeState(name: string, data: TensorData): void {
    const state = this.#state(name);
    if (state.data.length !== data.length) {
      throw new HydrantError(
        "executor/state",
        `State "${name}" has ${state.data.length} elements, got ${data.length}.`,
      );
    }
    (state.data as Float64Array).set(data as Float32Array);
  }

  dispose(): void {
    this.#states.clear();
  }

  #run(graph: Graph, inputs: Tensors, dims: DimBindings): Tensors {
    const bound = { ...this.#dims, ...dims };
    const outputs = interpret(graph, {
      parameters: (name) => this.#weight(name),
      inputs: Object.fromEntries(
        sourcesOf(graph, "input").map(({ name, value }) => {
          const { dtype, shape } = typeOf(graph, value);
          const data = inputs[name];
          if (data?.length !== elementCount(shape, bound)) {
            throw new HydrantError(
              "executor/input",
              `Input "${name}" needs ${elementCount(shape, bound)} elements, got ${data?.length ?? "none"}.`,
            );
          }
          const widened = data instanceof Float32Array ? Float64Array.from(data) : data;
          return [name, { dtype, shape: bindShape(shape, bound), data: widened }];
        }),
      ),
      states: this.#states,
      dims: bound,
    });
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data }]) => [
        name,
        data instanceof Float64Array ? Float32Array.from(data) : data,
      ]),
    );
  }

  #weight(name: string): ReferenceTensor {
    const weight = this.#weights.get(name);
    if (weight === undefined)
      throw new HydrantError("executor/parameter", "The weights have no such tensor.", {
        path: name,
      });
    return weight;
  }

  #state(name: string): ReferenceTensor {
    const state = this.#states.get(name);
    if (state === undefined)
      throw new HydrantError("executor/state", `There is no state "${name}".`);
    return state;
  }
}
