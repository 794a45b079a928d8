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
  return ringSlots(slotBytes) * slotBytes;
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
    const slot = this.#empty(this.#next(), slotBytes);
    // Unless the run is seen to end, it is anyone's guess whether the device has counted it.
    this.#number = undefined;
    return slot;
  }

  /** The slots that the runs of a loop fill, at most as many as the ring has. */
  claimAll(slotBytes: number, count: number): readonly Slot[] {
    const first = this.#next();
    this.#number = undefined;
    return Array.from({ length: count }, (_, i) => this.#empty(first + i, slotBytes));
  }

  isPublished(slot: Slot): boolean {
    return Atomics.load(this.#header(slot), 0) === ((slot.number + 1) | 0);
  }

  /** Copies of a published slot's outputs, the last that are under way. */
  take(slot: Slot, fields: readonly RingField[]): Tensors {
    this.settle(slot.number + 1);
    return this.read(slot, fields);
  }

  /** No run is under way, and so many slots have been filled. */
  settle(number: number): void {
    this.#number = number;
  }

  /** Copies of a published slot's outputs. */
  read(slot: Slot, fields: readonly RingField[]): Tensors {
    return Object.fromEntries(
      fields.map(({ name, dtype, elements, offset }) => {
        const bytes = this.#view(slot.offset + offset, elements * byteSize(dtype));
        return [name, decodeTensor(dtype, bytes)];
      }),
    );
  }

  #next(): number {
    return this.#number ?? Number(this.#readNumber()[0] ?? 0);
  }

  #empty(number: number, slotBytes: number): Slot {
    const slot = { number, offset: (number % ringSlots(slotBytes)) * slotBytes };
    Atomics.store(this.#header(slot), 0, number | 0);
    return slot;
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
