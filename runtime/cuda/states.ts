import { byteSize, type DType } from "../../src/ir/dtype.ts";
import { elementCount, formatType, sameType, type TensorType } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { DevicePtr, Stream } from "../driver/driver.ts";
import type { TensorData } from "../executor.ts";
import type { CudaDevice } from "./device.ts";
import { decodeTensor, encodeTensor } from "./tensor-bytes.ts";

/** A state some graph or program wants: its type with every extent a number. */
export interface StateDeclaration {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

interface State extends StateDeclaration {
  readonly ptr: DevicePtr;
  readonly bytes: number;
}

/** A session's states in device memory, by name: zeros at first, shared by all its programs. */
export class States {
  readonly #device: CudaDevice;
  readonly #stream: Stream;
  readonly #states = new Map<string, State>();

  constructor(device: CudaDevice, stream: Stream) {
    this.#device = device;
    this.#stream = stream;
  }

  /** Bytes of all states. */
  get bytes(): number {
    return [...this.#states.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * The declarations that name no state there is, each name once.
   * @throws HydrantError `executor/state` for a state declared with two types.
   */
  missing(declarations: readonly StateDeclaration[]): StateDeclaration[] {
    const added = new Map<string, StateDeclaration>();
    for (const wanted of declarations) {
      const known: TensorType | undefined = this.#states.get(wanted.name) ?? added.get(wanted.name);
      if (known === undefined) added.set(wanted.name, wanted);
      else if (!sameType(known, wanted)) {
        throw new HydrantError(
          "executor/state",
          `State "${wanted.name}" is ${formatType(known)}, another graph declares ${formatType(wanted)}.`,
        );
      }
    }
    return [...added.values()];
  }

  has(name: string): boolean {
    return this.#states.has(name);
  }

  /** Allocates all of them, or none when it throws. */
  add(declarations: readonly StateDeclaration[]): void {
    const { driver } = this.#device;
    const added: State[] = [];
    try {
      for (const declaration of declarations) {
        const bytes = stateBytes(declaration);
        const ptr = driver.memAlloc(bytes);
        added.push({ ...declaration, ptr, bytes });
        driver.memsetD8Async(ptr, 0, bytes, this.#stream);
      }
    } catch (error) {
      for (const { ptr } of added) this.#device.release(() => driver.memFree(ptr));
      throw error;
    }
    for (const state of added) this.#states.set(state.name, state);
  }

  /** @throws HydrantError `executor/state` for an unknown name. */
  ptr(name: string): DevicePtr {
    return this.#state(name).ptr;
  }

  /** Waits for the session's work. */
  read(name: string): TensorData {
    const { dtype, shape, ptr } = this.#state(name);
    const bytes = new Uint8Array(elementCount(shape) * byteSize(dtype));
    this.#device.driver.streamSynchronize(this.#stream);
    this.#device.driver.memcpyDtoH(bytes, ptr);
    return decodeTensor(dtype, bytes);
  }

  /** Waits for the session's work. */
  write(name: string, data: TensorData): void {
    const { dtype, shape, ptr } = this.#state(name);
    const count = elementCount(shape);
    if (data.length !== count) {
      throw new HydrantError(
        "executor/state",
        `State "${name}" has ${count} elements, got ${data.length}.`,
      );
    }
    const bytes = encodeTensor(dtype, data);
    this.#device.driver.streamSynchronize(this.#stream);
    this.#device.driver.memcpyHtoD(ptr, bytes);
  }

  dispose(): void {
    const { driver } = this.#device;
    for (const { ptr } of this.#states.values()) this.#device.release(() => driver.memFree(ptr));
    this.#states.clear();
  }

  #state(name: string): State {
    const state = this.#states.get(name);
    if (state === undefined) {
      throw new HydrantError("executor/state", `There is no state "${name}".`);
    }
    return state;
  }
}

/** Bytes of a state's memory: whole vectors, so that kernels may move it in wide pieces. */
export function stateBytes({ dtype, shape }: StateDeclaration): number {
  return Math.max(1, Math.ceil((elementCount(shape) * byteSize(dtype)) / 16)) * 16;
}
