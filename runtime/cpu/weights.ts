import { byteSize, type DType, type FloatDType, isFloat } from "../../src/ir/dtype.ts";
import { decodeFloats } from "../../src/ir/float-formats.ts";
import { elementCount, type Shape } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { ParameterSource } from "../executor.ts";
import { Arena } from "./arena.ts";
import type { KernelExports } from "./thread-pool.ts";

/** Bytes read and checked at a time: still in the cache when the check comes, and quick to abort. */
const chunkBytes = 8 << 20;

interface Weight {
  readonly dtype: FloatDType;
  readonly shape: Shape;
  readonly address: number;
}

/** Bytes of all parameters as they are stored. */
export function weightBytes({ parameters }: ParameterSource): number {
  let bytes = 0;
  for (const { dtype, shape } of parameters.values())
    bytes += elementCount(shape) * byteSize(dtype);
  return bytes;
}

/** Weights in shared memory, in their stored types. */
export class Weights {
  readonly #arena: Arena;
  readonly #weights = new Map<string, Weight>();
  readonly #widened = new Map<string, number>();
  #byteLength = 0;

  private constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** @throws HydrantError `executor/not-finite`, `executor/memory`, `executor/weight` */
  static async load(
    source: ParameterSource,
    arena: Arena,
    kernels: KernelExports,
    signal?: AbortSignal,
  ): Promise<Weights> {
    const weights = new Weights(arena);
    Arena.checkRoom(weightBytes(source));
    for (const [name, { dtype, shape }] of source.parameters) {
      if (!isFloat(dtype)) {
        throw new HydrantError("executor/weight", `A weight cannot be ${dtype}.`, { path: name });
      }
      const bytes = elementCount(shape) * byteSize(dtype);
      const address = arena.allocate(bytes);
      for (let offset = 0; offset < bytes; offset += chunkBytes) {
        signal?.throwIfAborted();
        const count = Math.min(chunkBytes, bytes - offset);
        await source.read(name, arena.bytes(address + offset, count), offset);
        const found = kernels[`check_finite_${dtype}`]?.(address + offset, count) ?? -1;
        if (found >= 0) throw weights.#notFinite(name, dtype, address, offset + found);
      }
      weights.#weights.set(name, { dtype, shape, address });
      weights.#byteLength += bytes;
    }
    return weights;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  type(name: string): { readonly dtype: FloatDType; readonly shape: Shape } | undefined {
    return this.#weights.get(name);
  }

  /** Where a weight is; asked for as f32, a small 16-bit one is kept a second time, widened. */
  address(name: string, dtype: DType): number {
    const weight = this.#weights.get(name);
    if (weight === undefined) {
      throw new HydrantError("executor/parameter", "The weights have no such tensor.", {
        path: name,
      });
    }
    if (weight.dtype === dtype) return weight.address;
    const known = this.#widened.get(name);
    if (known !== undefined) return known;
    const count = elementCount(weight.shape);
    const address = this.#arena.allocate(4 * count);
    const stored = this.#arena.bytes(weight.address, count * byteSize(weight.dtype));
    this.#arena.f32(address, count).set(decodeFloats(weight.dtype, stored));
    this.#widened.set(name, address);
    return address;
  }

  #notFinite(name: string, dtype: FloatDType, address: number, offset: number): HydrantError {
    const values = decodeFloats(dtype, this.#arena.bytes(address + offset, 16));
    const lane = values.findIndex((value) => !Number.isFinite(value));
    const element = offset / byteSize(dtype) + lane;
    return new HydrantError(
      "executor/not-finite",
      `The tensor holds ${values[lane] ?? "NaN"} at element ${element}.`,
      { path: name, hint: "The file is damaged or its training failed: get it again." },
    );
  }
}
