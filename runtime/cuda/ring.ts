import { byteSize } from "../../src/ir/dtype.ts";
import { type RingField, ringSlots } from "../../src/ir/program.ts";
import { invariant } from "../../src/util/errors.ts";
import type { TensorData, Tensors } from "../executor.ts";
import type { SessionMemory } from "./session-memory.ts";
import { decodeTensor } from "./tensor-bytes.ts";

/** State that counts the slots filled in a session. */
export const ringNumber = "ring.number";

/** Where one run publishes its outputs. */
export interface Slot {
  /** Slots filled before. */
  readonly number: number;
  /** Bytes from the ring's start. */
  readonly offset: number;
}

/** Bytes of a ring with slots of this size. */
export function ringBytes(slotBytes: number): number {
  return ringSlots * slotBytes;
}

/**
 * The host's end of the output ring: page-locked memory that the device writes results to and then a
 * number, which the host looks for.
 */
export class OutputRing {
  readonly #memory: SessionMemory;
  /** Reads the count from the device. */
  readonly #readNumber: () => TensorData;
  /** Undefined while only the device knows. */
  #number: number | undefined;

  constructor(memory: SessionMemory, readNumber: () => TensorData) {
    this.#memory = memory;
    this.#readNumber = readNumber;
  }

  /** The slot the next run fills, emptied: what lies there may be another program's outputs. */
  claim(slotBytes: number): Slot {
    const number = this.#number ?? Number(this.#readNumber()[0] ?? 0);
    const slot = { number, offset: (number % ringSlots) * slotBytes };
    Atomics.store(this.#header(slot), 0, number | 0);
    // Unless the run is seen to end, it is anyone's guess whether the device has counted it.
    this.#number = undefined;
    return slot;
  }

  isPublished(slot: Slot): boolean {
    return Atomics.load(this.#header(slot), 0) === ((slot.number + 1) | 0);
  }

  /** Copies of a published slot's outputs. */
  take(slot: Slot, fields: readonly RingField[]): Tensors {
    this.#number = slot.number + 1;
    return Object.fromEntries(
      fields.map(({ name, dtype, elements, offset }) => {
        const bytes = this.#view(slot.offset + offset, elements * byteSize(dtype));
        return [name, decodeTensor(dtype, bytes)];
      }),
    );
  }

  #header(slot: Slot): Int32Array {
    const bytes = this.#view(slot.offset, 4);
    return new Int32Array(bytes.buffer, bytes.byteOffset, 1);
  }

  #view(offset: number, bytes: number): Uint8Array {
    const { ring } = this.#memory;
    invariant(ring !== undefined, "the ring is allocated before a run");
    return ring.view(offset, bytes);
  }
}
