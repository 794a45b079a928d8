import { evaluateAccept } from "../../src/ir/reference/evaluate-accept.ts";
import { Sampler } from "../../src/ir/reference/sampling.ts";
import { byteSize } from "../../src/ir/dtype.ts";
import { type Graph, typeOf } from "../../src/ir/graph.ts";
import { type DimBindings, elementCount, type TensorType } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { Executable, TensorData, Tensors } from "../executor.ts";
import { lower } from "./lower/lower.ts";
import type { AcceptStep, Lowered, Size, StorageId } from "./lower/step.ts";
import type { KernelFault, Machine } from "./machine.ts";
import { encodeProgram, type Program } from "./program.ts";
import { type Phase, schedule } from "./schedule.ts";
import { readTensor, writeTensor } from "./tensor-access.ts";
import { ThreadChoice } from "./thread-choice.ts";
import { planWorkspace, type Workspace } from "./workspace.ts";

/** Plans kept for different row counts: a prompt has full chunks and one shorter rest. */
const plansKept = 8;

/** A graph made ready for one set of row counts. */
interface Plan {
  readonly size: Size;
  readonly workspace: Workspace;
  readonly constants: ReadonlyMap<StorageId, number>;
  readonly scratchBytes: number;
  /** Where the program's records are, and for which place of the workspace they were written. */
  readonly address: number;
  program: Program;
  epoch: number;
  readonly threads: ThreadChoice;
}

/** A graph as programs of kernel calls. Runs are synchronous: the calling thread takes part. */
export class CpuExecutable implements Executable {
  readonly #graph: Graph;
  readonly #machine: Machine;
  readonly #dims: DimBindings;
  readonly #stateAddress: (name: string) => number;
  readonly #onDispose: () => void;
  readonly #lowered: Lowered;
  readonly #phases: readonly Phase[];
  /** By the values of the run's symbols, least recently used first. */
  readonly #plans = new Map<string, Plan>();
  readonly #sampler = new Sampler();

  constructor(
    graph: Graph,
    machine: Machine,
    dims: DimBindings,
    stateAddress: (name: string) => number,
    onDispose: () => void,
  ) {
    this.#graph = graph;
    this.#machine = machine;
    this.#dims = dims;
    this.#stateAddress = stateAddress;
    this.#onDispose = onDispose;
    this.#lowered = lower(graph);
    this.#phases = schedule(this.#lowered, machine.threads);
  }

  run(inputs: Tensors, dims: DimBindings = {}): Tensors {
    const plan = this.#plan(dims);
    this.#writeInputs(plan, inputs);
    const threads = plan.threads.next();
    const begin = performance.now();
    for (const segment of plan.program.segments) {
      const [from, to] = [plan.address + segment.begin, plan.address + segment.end];
      const fault = this.#machine.run(from, to, threads);
      if (fault !== undefined) throw this.#refused(plan, fault);
      for (const step of segment.accepts) this.#accept(plan, step);
    }
    plan.threads.observe(threads, performance.now() - begin);
    return Object.fromEntries(
      this.#lowered.outputs.map(({ name, storage, type }) => [
        name,
        this.#readOutput(plan, storage, type),
      ]),
    );
  }

  dispose(): void {
    for (const plan of this.#plans.values()) this.#discard(plan);
    this.#plans.clear();
    this.#onDispose();
  }

  #plan(dims: DimBindings): Plan {
    const key = JSON.stringify(dims);
    let plan = this.#plans.get(key);
    if (plan === undefined) plan = this.#makePlan(dims);
    else this.#plans.delete(key);
    this.#plans.set(key, plan);
    if (this.#plans.size > plansKept) {
      const [oldest] = this.#plans;
      if (oldest !== undefined) {
        this.#plans.delete(oldest[0]);
        this.#discard(oldest[1]);
      }
    }
    this.#machine.reserve(plan.workspace.bytes, plan.scratchBytes);
    if (plan.epoch !== this.#machine.epoch) {
      plan.program = this.#encode(plan);
      plan.epoch = this.#machine.epoch;
      this.#writeProgram(plan);
    }
    return plan;
  }

  #makePlan(dims: DimBindings): Plan {
    const bound = { ...this.#dims, ...dims };
    const size: Size = (shape) => elementCount(shape, bound);
    const { arena } = this.#machine;
    const workspace = planWorkspace(this.#lowered, this.#phases, size);
    let scratchBytes = 0;
    for (const steps of this.#phases) {
      for (const step of steps) {
        if (step.kind !== "kernel") continue;
        scratchBytes = Math.max(scratchBytes, step.scratchBytes?.(size) ?? 0);
      }
    }
    const constants = new Map<StorageId, number>();
    for (const [storage, info] of this.#lowered.storages.entries()) {
      if (info.kind !== "constant") continue;
      const count = size(info.type.shape);
      const address = arena.allocate(count * byteSize(info.type.dtype));
      info.fill(
        {
          f32: arena.f32(address, count),
          i32: arena.i32(address, count),
          u64: arena.u64(address, info.type.dtype === "u64" ? count : 0),
        },
        size,
      );
      constants.set(storage, address);
    }
    this.#machine.reserve(workspace.bytes, scratchBytes);
    const { epoch } = this.#machine;
    const program = this.#encode({ workspace, constants, size });
    const address = arena.allocate(program.words.byteLength);
    const { threads: count, fixedThreads } = this.#machine;
    const threads = new ThreadChoice(count, fixedThreads);
    const plan: Plan = {
      size,
      workspace,
      constants,
      scratchBytes,
      address,
      program,
      epoch,
      threads,
    };
    this.#writeProgram(plan);
    return plan;
  }

  #writeProgram({ address, program }: Plan): void {
    this.#machine.arena.i32(address, program.words.length).set(program.words);
  }

  #encode(plan: Pick<Plan, "workspace" | "constants" | "size">): Program {
    const address = (storage: StorageId) => this.#address(plan, storage);
    return encodeProgram(this.#phases, { address, size: plan.size }, this.#machine.threads);
  }

  #address(plan: Pick<Plan, "workspace" | "constants">, storage: StorageId): number {
    const info = this.#lowered.storages[storage];
    switch (info?.kind) {
      case "parameter":
        return this.#machine.weights.address(info.name, info.dtype);
      case "state":
        return this.#stateAddress(info.name);
      case "constant":
        return plan.constants.get(storage) ?? 0;
      default:
        return this.#machine.workspace + (plan.workspace.offsets.get(storage) ?? 0);
    }
  }

  #writeInputs(plan: Plan, inputs: Tensors): void {
    const { arena } = this.#machine;
    for (const [storage, info] of this.#lowered.storages.entries()) {
      if (info.kind !== "input") continue;
      const data = inputs[info.name];
      const count = plan.size(info.type.shape);
      if (data?.length !== count) {
        throw new HydrantError(
          "executor/input",
          `Input "${info.name}" needs ${count} elements, got ${data?.length ?? "none"}.`,
          { path: this.#graph.name },
        );
      }
      writeTensor(arena, info.type.dtype, this.#address(plan, storage), data);
    }
  }

  #readOutput(plan: Plan, storage: StorageId, type: TensorType): TensorData {
    const address = this.#address(plan, storage);
    return readTensor(this.#machine.arena, type.dtype, address, plan.size(type.shape));
  }

  #accept(plan: Plan, { node, reads, writes, vocabulary }: AcceptStep): void {
    const { arena } = this.#machine;
    const address = (storage: StorageId | undefined) => this.#address(plan, storage ?? 0);
    const [logits, tokens, parents, length, history, sampling, seed] = reads;
    const type = (operand: number): TensorType => typeOf(this.#graph, node.operands[operand] ?? 0);
    const count = (operand: number) => plan.size(type(operand).shape);
    const first = address(logits);
    const result = evaluateAccept(
      node.op,
      {
        logitsOf: (row) => arena.f32(first + 4 * row * vocabulary, vocabulary),
        tokens: arena.i32(address(tokens), count(1)),
        parents: arena.i32(address(parents), count(2)),
        length: arena.i32(address(length), 1)[0] ?? 0,
        history: arena.i32(address(history), count(4)),
        sampling: arena.f32(address(sampling), count(5)),
        seed: arena.u64(address(seed), 1)[0] ?? 0n,
      },
      node.attributes.pathLength,
      this.#sampler,
    );
    const [path, accepted, following] = writes;
    arena.i32(address(path), result.path.length).set(result.path);
    arena.i32(address(accepted), 1)[0] = result.count;
    arena.i32(address(following), result.following.length).set(result.following);
  }

  #refused(plan: Plan, fault: KernelFault): HydrantError {
    const step = plan.program.stepAt.get(fault.record - plan.address);
    return new HydrantError("ir/run", `${step?.kernel ?? "kernel"}: ${fault.message}.`, {
      path: `${this.#graph.name}/${step?.label ?? "?"}`,
    });
  }

  #discard(plan: Plan): void {
    const { arena } = this.#machine;
    for (const address of plan.constants.values()) arena.release(address);
    arena.release(plan.address);
  }
}
