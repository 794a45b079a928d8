import { byteSize } from "../../src/ir/dtype.ts";
import { formatType, sameType, type TensorType } from "../../src/ir/shape.ts";
import { type Graph, sourcesOf, typeOf } from "../../src/ir/graph.ts";
import { bindShape, type DimBindings, elementCount } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { checkParameters } from "../check-parameters.ts";
import type { Executable, Session, TensorData } from "../executor.ts";
import { CpuExecutable } from "./executable.ts";
import type { Machine } from "./machine.ts";
import { readTensor, writeTensor } from "./tensor-access.ts";

interface State {
  readonly type: TensorType;
  readonly address: number;
}

/** A generation in progress: states in shared memory, by name. */
export class CpuSession implements Session {
  readonly #machine: Machine;
  readonly #dims: DimBindings;
  readonly #states = new Map<string, State>();
  readonly #executables = new Set<CpuExecutable>();

  constructor(machine: Machine, dims: DimBindings) {
    this.#machine = machine;
    this.#dims = dims;
  }

  compile(graph: Graph): Executable {
    checkParameters(graph, (name) => this.#machine.weights.type(name));
    for (const { name, value } of sourcesOf(graph, "state")) {
      this.#declareState(name, typeOf(graph, value));
    }
    // An update may name a state that the graph never reads.
    for (const { state, value } of graph.updates) this.#declareState(state, typeOf(graph, value));
    const executable = new CpuExecutable(
      graph,
      this.#machine,
      this.#dims,
      (name) => this.#state(name).address,
      () => this.#executables.delete(executable),
    );
    this.#executables.add(executable);
    return executable;
  }

  readState(name: string): TensorData {
    const { type, address } = this.#state(name);
    return readTensor(this.#machine.arena, type.dtype, address, elementCount(type.shape));
  }

  writeState(name: string, data: TensorData): void {
    const { type, address } = this.#state(name);
    const count = elementCount(type.shape);
    if (data.length !== count) {
      throw new HydrantError(
        "executor/state",
        `State "${name}" has ${count} elements, got ${data.length}.`,
      );
    }
    writeTensor(this.#machine.arena, type.dtype, address, data);
  }

  dispose(): void {
    for (const executable of [...this.#executables]) executable.dispose();
    for (const { address } of this.#states.values()) this.#machine.arena.release(address);
    this.#states.clear();
  }

  #declareState(name: string, symbolic: TensorType): void {
    const type = { dtype: symbolic.dtype, shape: bindShape(symbolic.shape, this.#dims) };
    const known = this.#states.get(name);
    if (known === undefined) {
      const bytes = elementCount(type.shape) * byteSize(type.dtype);
      this.#states.set(name, { type, address: this.#machine.arena.allocate(bytes) });
    } else if (!sameType(known.type, type)) {
      throw new HydrantError(
        "executor/state",
        `State "${name}" is ${formatType(known.type)}, another graph declares ${formatType(type)}.`,
      );
    }
  }

  #state(name: string): State {
    const state = this.#states.get(name);
    if (state === undefined) {
      throw new HydrantError("executor/state", `There is no state "${name}".`);
    }
    return state;
  }
}
