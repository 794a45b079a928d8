import type { Allocator } from "../../kernels/entry.ts";
import { byteSize, isFloat } from "../../src/ir/dtype.ts";
import { encodeFloats } from "../../src/ir/float-formats.ts";
import type { Graph, Node, Source, ValueId } from "../../src/ir/graph.ts";
import type { Buffer, BufferId } from "../../src/ir/program.ts";
import { bindShape, elementCount, type TensorType } from "../../src/ir/shape.ts";
import { weightBytes } from "../../src/ir/weight-layout.ts";

/** A buffer of the arena before it has its place. */
const unplaced = -1;

/** The buffers of a program under construction. */
export class Buffers {
  readonly all: Buffer[] = [];
  readonly #graph: Graph;
  readonly #sources: ReadonlyMap<ValueId, Source>;
  readonly #constants = new Map<Node, BufferId>();
  readonly #named = new Map<string, BufferId>();
  #counters: BufferId | undefined;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#sources = new Map(graph.sources.map((source) => [source.value, source]));
  }

  /** A source of the graph. */
  source(value: ValueId): BufferId | undefined {
    const source = this.#sources.get(value);
    if (source === undefined) return undefined;
    const { kind, name } = source;
    const type = this.typeOf(value);
    const shape = bindShape(type.shape, {});
    const elements = elementCount(shape);
    const bytes =
      kind === "parameter" ? weightBytes(type.dtype, shape) : elements * byteSize(type.dtype);
    return this.#once(`${kind} ${name}`, {
      dtype: type.dtype,
      elements,
      bytes,
      storage: { kind, name },
      label: name,
    });
  }

  /** A constant node's data. */
  constant(node: Extract<Node, { op: "constant" }>): BufferId {
    const known = this.#constants.get(node);
    if (known !== undefined) return known;
    const type = this.typeOf(node.results[0] ?? -1);
    const data = constantBytes(node, type);
    const id = this.#add({
      dtype: type.dtype,
      elements: elementCount(type.shape),
      bytes: data.byteLength,
      storage: { kind: "constant", data },
      label: node.label ?? "constant",
    });
    this.#constants.set(node, id);
    return id;
  }

  /** A state the graph does not name. */
  state(name: string, type: TensorType): BufferId {
    const elements = elementCount(type.shape);
    return this.#once(`state ${name}`, {
      dtype: type.dtype,
      elements,
      bytes: elements * byteSize(type.dtype),
      storage: { kind: "state", name },
      label: name,
    });
  }

  /** Arena memory for a value or a kernel's own use. */
  scratch(type: TensorType, label: string): BufferId {
    const elements = elementCount(type.shape);
    return this.#add({
      dtype: type.dtype,
      elements,
      bytes: elements * byteSize(type.dtype),
      storage: { kind: "scratch", offset: unplaced },
      label,
    });
  }

  /** What kernels get their own memory from. All counters are one buffer: launches run in order. */
  readonly memory: Allocator = {
    scratch: (bytes, label) => this.scratch({ dtype: "i32", shape: [Math.ceil(bytes / 4)] }, label),
    counters: (count) => {
      const bytes = 4 * count;
      const known = this.#counters === undefined ? undefined : this.all[this.#counters];
      const buffer: Buffer = {
        dtype: "i32",
        elements: Math.max(count, known?.elements ?? 0),
        bytes: Math.max(bytes, known?.bytes ?? 0),
        storage: { kind: "counter" },
        label: "counters",
      };
      if (this.#counters === undefined) this.#counters = this.#add(buffer);
      else this.all[this.#counters] = buffer;
      return this.#counters;
    },
  };

  typeOf(value: ValueId): TensorType {
    const type = this.#graph.types[value];
    if (type === undefined) throw new RangeError(`%${value} has no type`);
    return type;
  }

  #once(key: string, buffer: Buffer): BufferId {
    const known = this.#named.get(key);
    if (known !== undefined) return known;
    const id = this.#add(buffer);
    this.#named.set(key, id);
    return id;
  }

  #add(buffer: Buffer): BufferId {
    return this.all.push(buffer) - 1;
  }
}

function constantBytes(
  { attributes }: Extract<Node, { op: "constant" }>,
  { dtype }: TensorType,
): Uint8Array {
  const { data } = attributes;
  if (isFloat(dtype)) return encodeFloats(dtype, Float32Array.from(data, Number));
  return dtype === "i32"
    ? new Uint8Array(Int32Array.from(data, Number).buffer)
    : new Uint8Array(BigUint64Array.from(data, BigInt).buffer);
}
