import { byteSize, type DType, type FloatDType, isFloat } from "../../src/ir/dtype.ts";
import { type Graph, type Node, typeOf, type ValueId } from "../../src/ir/graph.ts";
import type { Dim, Shape, TensorType } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { findFusions, type Fusions } from "./fuse.ts";
import { attentionScratchBytes } from "./kernels/attention.ts";
import { linearScratchBytes } from "./kernels/linear.ts";
import type { ArgumentsOf, KernelName } from "./kernels/module.ts";

/** Where a value's bytes are. Several values may share one storage (views, in-place changes). */
export type Storage =
  | { readonly kind: "parameter"; readonly name: string; readonly dtype: DType }
  | { readonly kind: "input" | "state"; readonly name: string; readonly type: TensorType }
  | {
      readonly kind: "constant";
      readonly fill: (bytes: Bytes, size: Size) => void;
      readonly type: TensorType;
    }
  | { readonly kind: "temporary"; readonly type: TensorType };
export type StorageId = number;

/** Bytes of a constant, to be filled through whichever view fits. */
export interface Bytes {
  readonly f32: Float32Array;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
}

/** Number of elements of a shape, or one extent, with the run's symbols. */
export type Size = (shape: Shape) => number;

/** What encoding a kernel call may ask for. */
export interface Layout {
  readonly address: (storage: StorageId) => number;
  readonly size: Size;
}

/** One call of a kernel on all threads. */
export interface KernelStep {
  readonly kind: "kernel";
  readonly kernel: KernelName;
  readonly reads: readonly StorageId[];
  readonly writes: readonly StorageId[];
  readonly label: string;
  readonly encode: (layout: Layout) => Encoded;
  /**
   * Set when the parallel axis is the columns of the matrices read and written, all this wide: a step
   * with the same number needs no barrier after this one.
   */
  readonly columns?: number | undefined;
  readonly scratchBytes?: ((size: Size) => number) | undefined;
}

export interface Encoded {
  readonly args: Readonly<Record<string, number>>;
  /** Extent of the parallel axis. */
  readonly extent: number;
  /** Parts of the axis begin at multiples of this. */
  readonly granule: number;
}

/** The walk over a token tree, done by the calling thread between two programs. */
export interface AcceptStep {
  readonly kind: "accept";
  readonly node: Extract<Node, { op: "accept_match" | "accept_typical" }>;
  readonly reads: readonly StorageId[];
  readonly writes: readonly StorageId[];
  readonly label: string;
  readonly vocabulary: number;
  readonly types: readonly TensorType[];
}

export type Step = KernelStep | AcceptStep;

export interface Lowered {
  readonly storages: readonly Storage[];
  /** In an order that respects every dependency. */
  readonly steps: readonly Step[];
  readonly outputs: readonly {
    readonly name: string;
    readonly storage: StorageId;
    readonly type: TensorType;
  }[];
}

/** Splits of columns begin at whole cache lines, so that threads do not share any. */
export const columnGranule = 16;

/** Turns a graph into calls of CPU kernels, fusing what one kernel can do. */
export function lower(graph: Graph): Lowered {
  return new Lowering(graph).run();
}

class Lowering {
  readonly #graph: Graph;
  readonly #fusions: Fusions;
  readonly #storages: Storage[] = [];
  readonly #steps: Step[] = [];
  readonly #storageOf = new Map<ValueId, StorageId>();
  readonly #widened = new Map<ValueId, StorageId>();
  readonly #ropeTables = new Map<string, StorageId>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#fusions = findFusions(graph);
  }

  run(): Lowered {
    const graph = this.#graph;
    for (const { kind, name, value } of graph.sources) {
      const type = typeOf(graph, value);
      const storage: Storage =
        kind === "parameter" ? { kind, name, dtype: type.dtype } : { kind, name, type };
      this.#storageOf.set(value, this.#store(storage));
    }
    for (const node of graph.nodes) {
      if (this.#fusions.skipped.has(node)) continue;
      this.#lower(node);
    }
    const outputs = graph.outputs.map(({ name, value }) => {
      const type = typeOf(graph, value);
      const storage = this.#at(value);
      // A state may change after the output was taken from it.
      const own = this.#storages[storage]?.kind === "state" ? this.#copy(storage, type) : storage;
      return { name, storage: own, type };
    });
    this.#updateStates();
    return { storages: this.#storages, steps: this.#steps, outputs };
  }

  /** States take their new values together: what another state holds is set aside first. */
  #updateStates(): void {
    const graph = this.#graph;
    const pending: { from: StorageId; to: StorageId; type: TensorType; label: string }[] = [];
    for (const { state, value } of graph.updates) {
      const type = typeOf(graph, value);
      const to = this.#stateStorage(state, type);
      const from = this.#at(value);
      if (from === to) continue;
      const aside = this.#storages[from]?.kind === "state";
      pending.push({
        from: aside ? this.#copy(from, type) : from,
        to,
        type,
        label: `update.${state}`,
      });
    }
    for (const { from, to, type, label } of pending) this.#copyInto(from, to, type, label);
  }

  #stateStorage(name: string, type: TensorType): StorageId {
    const known = this.#storages.findIndex((s) => s.kind === "state" && s.name === name);
    return known >= 0 ? known : this.#store({ kind: "state", name, type });
  }

  #lower(node: Node): void {
    const { op, operands, results } = node;
    const label = node.label ?? op;
    const type = (index: number) => typeOf(this.#graph, need(operands[index], op));
    const result = need(results[0], op);
    const resultType = typeOf(this.#graph, result);
    const at = (index: number) => this.#at(need(operands[index], op));
    switch (op) {
      case "constant": {
        const { data } = node.attributes;
        const fill = ({ f32, i32, u64 }: Bytes) => {
          for (const [index, item] of data.entries()) {
            if (resultType.dtype === "u64") u64[index] = BigInt(item);
            else (resultType.dtype === "i32" ? i32 : f32)[index] = Number(item);
          }
        };
        if (resultType.dtype === "f16" || resultType.dtype === "bf16") {
          const wide = this.#store({
            kind: "constant",
            fill,
            type: { ...resultType, dtype: "f32" },
          });
          this.#cast(wide, "f32", this.#define(result), resultType, label);
          break;
        }
        this.#define(result, { kind: "constant", fill, type: resultType });
        break;
      }
      case "iota":
        this.#define(result, {
          kind: "constant",
          fill: ({ i32 }, size) => {
            const count = size(resultType.shape);
            for (let index = 0; index < count; index++) i32[index] = index;
          },
          type: resultType,
        });
        break;
      case "add":
      case "mul":
        if (!this.#lowerFused(node, label)) {
          const name = op === "mul" ? "mul" : resultType.dtype === "i32" ? "add_i32" : "add";
          this.#elementwise(name, node, label);
        }
        break;
      case "silu": {
        const [x, y] = [at(0), this.#define(result)];
        const { rows, columns, width } = matrixOf(resultType.shape);
        this.#kernel("silu", [x], [y], label, {
          columns: width,
          encode: ({ address, size }) => ({
            args: { x: address(x), y: address(y), rows: size(rows), columns: size(columns) },
            ...columnParts(size(columns)),
          }),
        });
        break;
      }
      case "cast":
        this.#cast(at(0), type(0).dtype, this.#define(result), resultType, label);
        break;
      case "reshape":
        this.#storageOf.set(result, at(0));
        break;
      case "concat":
        this.#concat(node, label);
        break;
      case "gather": {
        const [x, index, y] = [at(0), at(1), this.#define(result)];
        const { dtype, shape } = type(0);
        this.#kernel("gather", [x, index], [y], label, {
          encode: ({ address, size }) => ({
            args: {
              x: address(x),
              index: address(index),
              y: address(y),
              rowBytes: size(shape.slice(1)) * byteSize(dtype),
              available: size(shape.slice(0, 1)),
            },
            extent: size(type(1).shape),
            granule: 1,
          }),
        });
        break;
      }
      case "embedding": {
        const [table, ids, y] = [at(0), at(1), this.#define(result)];
        const { dtype, shape } = type(0);
        this.#kernel(`embedding_${floatType(dtype)}`, [table, ids], [y], label, {
          encode: ({ address, size }) => ({
            args: {
              table: address(table),
              ids: address(ids),
              y: address(y),
              width: size(shape.slice(1)),
              available: size(shape.slice(0, 1)),
            },
            extent: size(type(1).shape),
            granule: 1,
          }),
        });
        break;
      }
      case "linear":
        this.#linear(node, undefined, this.#define(result), label);
        break;
      case "rms_norm": {
        const [x, w, y] = [at(0), this.#wide(need(operands[1], op)), this.#define(result)];
        const width = type(1).shape;
        const { eps } = node.attributes;
        this.#kernel("rms_norm", [x, w], [y], label, {
          encode: ({ address, size }) => ({
            args: { x: address(x), w: address(w), y: address(y), width: size(width), eps },
            extent: size(resultType.shape) / size(width),
            granule: 1,
          }),
        });
        break;
      }
      case "rope": {
        const [x, y] = [at(0), this.#define(result)];
        const table = this.#ropeTable(need(operands[1], op), need(operands[2], op), label);
        const [rows = 1, heads = 1] = resultType.shape;
        const half = type(2).shape;
        this.#kernel("rope", [x, table], [y], label, {
          encode: ({ address, size }) => ({
            args: {
              x: address(x),
              table: address(table),
              y: address(y),
              heads: size([heads]),
              half: size(half),
            },
            extent: size([rows, heads]),
            granule: 1,
          }),
        });
        break;
      }
      case "attention":
        this.#attention(node, label);
        break;
      case "cache_write":
        this.#cacheWrite(node, label);
        break;
      case "cache_commit": {
        const [cache, path, count, length] = [at(0), at(1), at(2), at(3)];
        this.#storageOf.set(result, cache);
        const { dtype, shape } = resultType;
        this.#kernel("cache_commit", [cache, path, count, length], [cache], label, {
          encode: ({ address, size }) => {
            const rowBytes = size(shape.slice(1)) * byteSize(dtype);
            return {
              args: {
                cache: address(cache),
                path: address(path),
                pathLength: size(type(1).shape),
                count: address(count),
                length: address(length),
                rowBytes,
                slots: size(shape.slice(0, 1)),
              },
              extent: rowBytes,
              granule: 64,
            };
          },
        });
        break;
      }
      case "argmax": {
        const [x, ids] = [at(0), this.#define(result)];
        const { shape } = type(0);
        this.#kernel("argmax", [x], [ids], label, {
          encode: ({ address, size }) => ({
            args: { x: address(x), ids: address(ids), columns: size(shape.slice(1)) },
            extent: size(shape.slice(0, 1)),
            granule: 1,
          }),
        });
        break;
      }
      case "topk": {
        const [x, values, ids] = [at(0), this.#define(result), this.#define(need(results[1], op))];
        const { shape } = type(0);
        const { k } = node.attributes;
        this.#kernel("topk", [x], [values, ids], label, {
          encode: ({ address, size }) => ({
            args: {
              x: address(x),
              values: address(values),
              ids: address(ids),
              k,
              columns: size(shape.slice(1)),
            },
            extent: size(shape.slice(0, 1)),
            granule: 1,
          }),
        });
        break;
      }
      case "accept_match":
      case "accept_typical": {
        const vocabulary = type(0).shape[1];
        if (typeof vocabulary !== "number") {
          throw new HydrantError("executor/shape", "The vocabulary must be a number.", {
            path: label,
          });
        }
        this.#steps.push({
          kind: "accept",
          node,
          reads: operands.map((value) => this.#at(value)),
          writes: results.map((value) => this.#define(value)),
          label,
          vocabulary,
          types: operands.map((value) => typeOf(this.#graph, value)),
        });
        break;
      }
      default:
        node satisfies never;
    }
  }

  /** An `add` or `mul` that a larger kernel absorbs; the other part was skipped and is done here. */
  #lowerFused(node: Node, label: string): boolean {
    const fusion = this.#fusions.at.get(node);
    if (fusion === undefined) return false;
    const y = this.#define(need(node.results[0], node.op));
    if (fusion.kind === "residual") {
      this.#linear(fusion.linear, fusion.residual, y, fusion.linear.label ?? label);
      return true;
    }
    const [gate, up] = [this.#at(fusion.gate), this.#at(fusion.up)];
    const { rows, columns, width } = matrixOf(typeOf(this.#graph, fusion.gate).shape);
    this.#kernel("silu_mul", [gate, up], [y], label, {
      columns: width,
      encode: ({ address, size }) => ({
        args: {
          gate: address(gate),
          up: address(up),
          y: address(y),
          rows: size(rows),
          columns: size(columns),
        },
        ...columnParts(size(columns)),
      }),
    });
    return true;
  }

  #elementwise(name: "add" | "mul" | "add_i32", node: Node, label: string): void {
    const [left, right] = node.operands;
    const [a, y] = [this.#at(need(left, name)), this.#define(need(node.results[0], name))];
    const b = name === "add_i32" ? this.#at(need(right, name)) : this.#wide(need(right, name));
    const shape = typeOf(this.#graph, need(left, name)).shape;
    const other = typeOf(this.#graph, need(right, name)).shape;
    const whole = other.length === shape.length;
    const scalar = other.length === 1 && other[0] === 1 && !(whole && shape[0] === 1);
    // Below full rank, one row of b, as wide as its whole, serves every row of a.
    const split = whole || scalar ? 1 : shape.length - other.length;
    const { rows, columns, width } = matrixOf(shape, split);
    this.#kernel(name, [a, b], [y], label, {
      columns: width,
      encode: ({ address, size }) => ({
        args: {
          a: address(a),
          b: address(b),
          y: address(y),
          rows: size(rows),
          columns: size(columns),
          stride: whole ? 4 * size(columns) : 0,
          scalar: scalar ? 1 : 0,
        },
        ...columnParts(size(columns)),
      }),
    });
  }

  #linear(
    node: Extract<Node, { op: "linear" }>,
    residual: ValueId | undefined,
    y: StorageId,
    label: string,
  ): void {
    const [input, weight, offset] = node.operands;
    const [x, w] = [this.#at(need(input, "linear")), this.#at(need(weight, "linear"))];
    const bias = offset === undefined ? undefined : this.#wide(offset);
    const added = residual === undefined ? undefined : this.#at(residual);
    const { dtype, shape } = typeOf(this.#graph, need(weight, "linear"));
    const rows = typeOf(this.#graph, need(input, "linear")).shape.slice(0, 1);
    const [outputs = 1, depth = 1] = shape;
    const optional = [bias, added].filter((storage) => storage !== undefined);
    this.#kernel(`linear_${floatType(dtype)}`, [x, w, ...optional], [y], label, {
      columns: typeof outputs === "number" ? outputs : undefined,
      encode: ({ address, size }) => ({
        args: {
          x: address(x),
          w: address(w),
          y: address(y),
          bias: bias === undefined ? 0 : address(bias),
          residual: added === undefined ? 0 : address(added),
          rows: size(rows),
          depth: size([depth]),
          outputs: size([outputs]),
        },
        ...columnParts(size([outputs])),
      }),
      scratchBytes: (size) => linearScratchBytes(size(rows), size([depth])),
    });
  }

  #attention(node: Extract<Node, { op: "attention" }>, label: string): void {
    const [q, keys, values, length, mask] = node.operands;
    const query = need(q, "attention");
    const ids = [query, need(keys, "attention"), need(values, "attention")].map((value) =>
      this.#at(value),
    );
    const [from = 0, keyStorage = 0, valueStorage = 0] = ids;
    const lengthStorage = this.#at(need(length, "attention"));
    const words = mask === undefined ? undefined : this.#at(mask);
    const y = this.#define(need(node.results[0], "attention"));
    const [rows = 1, heads = 1, width = 1] = typeOf(this.#graph, query).shape;
    const cache = typeOf(this.#graph, need(keys, "attention"));
    const [slots = 1, groups = 1] = cache.shape;
    const maskWords: Dim = mask === undefined ? 0 : (typeOf(this.#graph, mask).shape[1] ?? 0);
    const reads = [from, keyStorage, valueStorage, lengthStorage];
    this.#kernel(
      `attention_${floatType(cache.dtype)}`,
      words === undefined ? reads : [...reads, words],
      [y],
      label,
      {
        encode: ({ address, size }) => ({
          args: {
            q: address(from),
            keys: address(keyStorage),
            values: address(valueStorage),
            length: address(lengthStorage),
            mask: words === undefined ? 0 : address(words),
            words: size([maskWords]),
            y: address(y),
            heads: size([heads]),
            groups: size([groups]),
            width: size([width]),
            slots: size([slots]),
            scale: node.attributes.scale,
          },
          extent: size([rows, heads]),
          granule: 1,
        }),
        scratchBytes: (size) =>
          attentionScratchBytes(size([slots]), size([maskWords]), size([width])),
      },
    );
  }

  #cacheWrite(node: Extract<Node, { op: "cache_write" }>, label: string): void {
    const [target, source, first] = node.operands;
    const cache = this.#at(need(target, "cache_write"));
    const x = this.#at(need(source, "cache_write"));
    const start = this.#at(need(first, "cache_write"));
    this.#storageOf.set(need(node.results[0], "cache_write"), cache);
    const { dtype, shape } = typeOf(this.#graph, need(target, "cache_write"));
    const given = typeOf(this.#graph, need(source, "cache_write"));
    const [slots, row] = [shape.slice(0, 1), shape.slice(1)];
    const rows = given.shape.slice(0, 1);
    if (given.dtype === "f32" && (dtype === "f16" || dtype === "bf16")) {
      this.#kernel(`cache_write_${dtype}`, [cache, x, start], [cache], label, {
        encode: ({ address, size }) => ({
          args: {
            x: address(x),
            cache: address(cache),
            start: address(start),
            size: size(row),
            rows: size(rows),
            slots: size(slots),
          },
          extent: size(rows) * size(row),
          granule: 32,
        }),
      });
      return;
    }
    this.#kernel("cache_copy", [cache, x, start], [cache], label, {
      encode: ({ address, size }) => ({
        args: {
          x: address(x),
          cache: address(cache),
          start: address(start),
          rowBytes: size(row) * byteSize(dtype),
          rows: size(rows),
          slots: size(slots),
        },
        extent: size(rows),
        granule: 1,
      }),
    });
  }

  #concat(node: Extract<Node, { op: "concat" }>, label: string): void {
    const { axis } = node.attributes;
    const result = need(node.results[0], "concat");
    const { dtype, shape } = typeOf(this.#graph, result);
    const y = this.#define(result);
    const outer = shape.slice(0, axis);
    const before: Shape[] = [];
    for (const value of node.operands) {
      const from = this.#at(value);
      const piece = typeOf(this.#graph, value).shape.slice(axis);
      const preceding = [...before];
      this.#kernel("copy_runs", [from], [y], label, {
        encode: ({ address, size }) => {
          const bytesOf = (part: Shape) => size(part) * byteSize(dtype);
          const offset = preceding.reduce((sum, part) => sum + bytesOf(part), 0);
          return {
            args: {
              from: address(from),
              to: address(y) + offset,
              bytes: bytesOf(piece),
              fromStride: bytesOf(piece),
              toStride: bytesOf(shape.slice(axis)),
            },
            extent: size(outer),
            granule: 1,
          };
        },
      });
      before.push(piece);
    }
  }

  #cast(from: StorageId, dtype: DType, to: StorageId, type: TensorType, label: string): void {
    const [source, target] = [floatType(dtype), floatType(type.dtype)];
    if (source === target) {
      this.#copyInto(from, to, type, label);
      return;
    }
    // Every pair of different float types has its kernel.
    const name = `cast_${source}_${target}` as Extract<KernelName, `cast_${string}`>;
    this.#kernel(name, [from], [to], label, {
      encode: ({ address, size }) => ({
        args: { x: address(from), y: address(to) },
        extent: size(type.shape),
        granule: 64,
      }),
    });
  }

  #ropeTable(positions: ValueId, frequencies: ValueId, label: string): StorageId {
    const key = `${positions} ${frequencies}`;
    const known = this.#ropeTables.get(key);
    if (known !== undefined) return known;
    const rows = typeOf(this.#graph, positions).shape;
    const half = typeOf(this.#graph, frequencies).shape;
    const table = this.#store({
      kind: "temporary",
      type: { dtype: "f32", shape: [...rows, 2, ...half] },
    });
    const [from, inverse] = [this.#at(positions), this.#wide(frequencies)];
    this.#kernel("rope_table", [from, inverse], [table], label, {
      encode: ({ address, size }) => ({
        args: {
          positions: address(from),
          frequencies: address(inverse),
          table: address(table),
          half: size(half),
        },
        extent: size(rows),
        granule: 1,
      }),
    });
    this.#ropeTables.set(key, table);
    return table;
  }

  /** The value as f32: itself, a weight's widened copy, or a conversion. */
  #wide(value: ValueId): StorageId {
    const type = typeOf(this.#graph, value);
    const storage = this.#at(value);
    if (type.dtype === "f32") return storage;
    const known = this.#widened.get(value);
    if (known !== undefined) return known;
    const source = this.#storages[storage];
    const wideType: TensorType = { ...type, dtype: "f32" };
    let wide: StorageId;
    if (source?.kind === "parameter") {
      wide = this.#store({ kind: "parameter", name: source.name, dtype: "f32" });
    } else {
      wide = this.#store({ kind: "temporary", type: wideType });
      this.#cast(storage, type.dtype, wide, wideType, "widen");
    }
    this.#widened.set(value, wide);
    return wide;
  }

  #copy(from: StorageId, type: TensorType): StorageId {
    const to = this.#store({ kind: "temporary", type });
    this.#copyInto(from, to, type, "copy");
    return to;
  }

  #copyInto(from: StorageId, to: StorageId, { dtype, shape }: TensorType, label: string): void {
    this.#kernel("copy_runs", [from], [to], label, {
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

  #kernel<K extends KernelName>(
    kernel: K,
    reads: readonly StorageId[],
    writes: readonly StorageId[],
    label: string,
    rest: {
      encode: (layout: Layout) => Encoded & { args: ArgumentsOf<K> };
      columns?: number | undefined;
      scratchBytes?: (size: Size) => number;
    },
  ): void {
    this.#steps.push({ kind: "kernel", kernel, reads, writes, label, ...rest });
  }

  #at(value: ValueId): StorageId {
    const storage = this.#storageOf.get(value);
    if (storage === undefined) {
      throw new HydrantError("executor/graph", `%${value} is used before it is defined.`, {
        path: this.#graph.name,
      });
    }
    return storage;
  }

  #define(
    value: ValueId,
    storage: Storage = { kind: "temporary", type: typeOf(this.#graph, value) },
  ): StorageId {
    const id = this.#store(storage);
    this.#storageOf.set(value, id);
    return id;
  }

  #store(storage: Storage): StorageId {
    this.#storages.push(storage);
    return this.#storages.length - 1;
  }
}

/** A tensor as a matrix: the first `split` axes are its rows. A vector is one row. */
function matrixOf(
  shape: Shape,
  split = 1,
): { rows: Shape; columns: Shape; width: number | undefined } {
  const rows = shape.length > 1 ? shape.slice(0, split) : [];
  const columns = shape.slice(rows.length);
  const fixed = columns.every((dim) => typeof dim === "number");
  const width = fixed
    ? columns.reduce<number>((product, dim) => product * Number(dim), 1)
    : undefined;
  return { rows, columns, width };
}

function columnParts(columns: number): { extent: number; granule: number } {
  return { extent: columns, granule: columnGranule };
}

function floatType(dtype: DType): FloatDType {
  if (!isFloat(dtype)) throw new HydrantError("executor/graph", `${dtype} is no float type.`);
  return dtype;
}

function need(value: ValueId | undefined, op: string): ValueId {
  if (value === undefined) throw new HydrantError("executor/graph", `${op} lacks a value.`);
  return value;
}
