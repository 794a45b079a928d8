import { byteSize, type DType, type FloatDType, isFloat } from "../../../src/ir/dtype.ts";
import { type Graph, type Node, typeOf, type ValueId } from "../../../src/ir/graph.ts";
import type { TensorType } from "../../../src/ir/shape.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import type { ArgumentsOf, KernelName } from "../kernels/module.ts";
import { findFusions, type Fusions } from "./fusions.ts";
import { findHeadGroups } from "./head-groups.ts";
import type { EncodedCall, KernelStep, Layout, Step, Storage, StorageId } from "./step.ts";

/** What a kernel call needs besides its reads and writes. */
export interface CallOf<K extends KernelName>
  extends Pick<KernelStep, "columns" | "groups" | "scratchBytes"> {
  readonly encode: (layout: Layout) => EncodedCall & { readonly args: ArgumentsOf<K> };
}

/** A graph on its way to steps: where its values are, and the steps so far. */
export class Lowering {
  readonly graph: Graph;
  readonly fusions: Fusions;
  readonly groups: ReadonlyMap<Node, number>;
  readonly storages: Storage[] = [];
  readonly steps: Step[] = [];
  /** Rotation tables by the positions and frequencies they hold: all layers turn by the same ones. */
  readonly ropeTables = new Map<string, StorageId>();
  readonly #places = new Map<ValueId, StorageId>();
  readonly #widened = new Map<ValueId, StorageId>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.fusions = findFusions(graph);
    this.groups = findHeadGroups(graph);
  }

  type(value: ValueId): TensorType {
    return typeOf(this.graph, value);
  }

  /** Where a value is. @throws HydrantError for one that no node so far has made. */
  at(value: ValueId): StorageId {
    const storage = this.#places.get(value);
    if (storage === undefined) {
      throw new HydrantError("executor/graph", `%${value} is used before it is made.`, {
        path: this.graph.name,
      });
    }
    return storage;
  }

  /** Gives a value a storage of its own. */
  define(
    value: ValueId,
    storage: Storage = { kind: "temporary", type: this.type(value) },
  ): StorageId {
    const id = this.store(storage);
    this.#places.set(value, id);
    return id;
  }

  /** Makes a value another name for what a storage holds. */
  alias(value: ValueId, storage: StorageId): void {
    this.#places.set(value, storage);
  }

  store(storage: Storage): StorageId {
    this.storages.push(storage);
    return this.storages.length - 1;
  }

  isState(storage: StorageId): boolean {
    return this.storages[storage]?.kind === "state";
  }

  /** A value as f32: itself, a weight's widened copy, or a conversion. */
  wide(value: ValueId): StorageId {
    const type = this.type(value);
    const storage = this.at(value);
    if (type.dtype === "f32") return storage;
    const known = this.#widened.get(value);
    if (known !== undefined) return known;
    const source = this.storages[storage];
    let wide: StorageId;
    if (source?.kind === "parameter") {
      wide = this.store({ kind: "parameter", name: source.name, dtype: "f32" });
    } else {
      const wideType: TensorType = { ...type, dtype: "f32" };
      wide = this.store({ kind: "temporary", type: wideType });
      this.cast(storage, type.dtype, wide, wideType, "widen");
    }
    this.#widened.set(value, wide);
    return wide;
  }

  /** Stores elements as another float type. */
  cast(from: StorageId, dtype: DType, to: StorageId, type: TensorType, label: string): void {
    const [source, target] = [floatType(dtype), floatType(type.dtype)];
    if (source === target) {
      this.copy(from, to, type, label);
      return;
    }
    // Every pair of different float types has its kernel.
    const name = `cast_${source}_${target}` as Extract<KernelName, `cast_${string}`>;
    this.kernel(name, [from], [to], label, {
      encode: ({ address, size }) => ({
        args: { x: address(from), y: address(to) },
        extent: size(type.shape),
        granule: 64,
      }),
    });
  }

  copy(from: StorageId, to: StorageId, { dtype, shape }: TensorType, label: string): void {
    this.kernel("copy_runs", [from], [to], label, {
      encode: ({ address, size }) => ({
        args: {
          from: address(from),
          to: address(to),
          bytes: size(shape) * byteSize(dtype),
          fromStride: 0,
          toStride: 0,
        },
        extent: 1,
        granule: 1,
      }),
    });
  }

  kernel<K extends KernelName>(
    kernel: K,
    reads: readonly StorageId[],
    writes: readonly StorageId[],
    label: string,
    call: CallOf<K>,
  ): void {
    this.steps.push({ kind: "kernel", kernel, reads, writes, label, ...call });
  }
}

/** @throws HydrantError for an integer type. */
export function floatType(dtype: DType): FloatDType {
  if (!isFloat(dtype)) throw new HydrantError("executor/graph", `${dtype} is no float type.`);
  return dtype;
}

/** Operand of a node by position; the verifier has counted them. */
export function operand(node: Node, index: number): ValueId {
  return present(node.operands[index], node.op);
}

export function result(node: Node, index = 0): ValueId {
  return present(node.results[index], node.op);
}

function present(value: ValueId | undefined, op: string): ValueId {
  if (value === undefined) throw new HydrantError("executor/graph", `${op} lacks a value.`);
  return value;
}
