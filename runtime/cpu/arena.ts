import { HydrantError } from "../../src/util/errors.ts";
import { control } from "./kernels/control.ts";
import { memoryLimits } from "./kernels/module.ts";
import { readAhead } from "./kernels/vector-math.ts";

const pageBytes = 65_536;
/** A cache line, twice: prefetchers take lines in pairs. */
const alignment = 128;

interface Block {
  readonly address: number;
  readonly bytes: number;
}

/**
 * Parts out one WebAssembly memory of up to 4 GiB, which all threads see. Blocks are aligned and may be
 * read a vector past their end. Views made before an allocation stay valid: memory only grows.
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  /** Free blocks below `#top`, by address. */
  #free: Block[] = [];
  readonly #sizes = new Map<number, number>();
  #top: number;

  constructor() {
    this.memory = new WebAssembly.Memory(memoryLimits);
    this.#top = align(control.end);
  }

  /** Bytes handed out and not given back. */
  get used(): number {
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Refuses at once what could never be allocated.
   * @throws HydrantError `executor/memory`
   */
  static checkRoom(bytes: number): void {
    if (bytes <= memoryLimits.maximum * pageBytes) return;
    throw new HydrantError(
      "executor/memory",
      `The weights take ${formatGiB(bytes)} GiB, and WebAssembly memory ends at 4 GiB.`,
      { hint: "Use a smaller model." },
    );
  }

  /** Zeroed bytes. @throws HydrantError `executor/memory` when 4 GiB or the machine's memory are full. */
  allocate(bytes: number): number {
    const size = align(Math.max(bytes, 1) + readAhead);
    const at = this.#free.findIndex((block) => block.bytes >= size);
    const found = this.#free[at];
    if (found === undefined) return this.#extend(size);
    if (found.bytes === size) this.#free.splice(at, 1);
    else this.#free[at] = { address: found.address + size, bytes: found.bytes - size };
    this.#sizes.set(found.address, size);
    this.bytes(found.address, size).fill(0);
    return found.address;
  }

  /** Gives a block back. */
  release(address: number): void {
    const bytes = this.#sizes.get(address);
    if (bytes === undefined) throw new Error(`address ${address} was not handed out`);
    this.#sizes.delete(address);
    const merged: Block[] = [];
    const all = [...this.#free, { address, bytes }].sort((a, b) => a.address - b.address);
    for (const block of all) {
      const last = merged.at(-1);
      if (last !== undefined && last.address + last.bytes === block.address) {
        merged[merged.length - 1] = { address: last.address, bytes: last.bytes + block.bytes };
      } else merged.push(block);
    }
    this.#free = merged;
  }

  bytes(address: number, count: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, count);
  }

  f32(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  i32(address: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, count);
  }

  u64(address: number, count: number): BigUint64Array {
    return new BigUint64Array(this.memory.buffer, address, count);
  }

  #extend(size: number): number {
    const address = this.#top;
    const end = address + size;
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / pageBytes);
    if (missing > 0) {
      // Some extra at a time: growing is a system call and makes new views.
      const extra = Math.min(
        missing + 256,
        memoryLimits.maximum - this.memory.buffer.byteLength / pageBytes,
      );
      if (missing > extra || !this.#grow(extra, missing)) {
        throw new HydrantError(
          "executor/memory",
          `The model and its caches take ${formatGiB(end)} GiB, which this machine does not have at hand; and WebAssembly memory ends at 4 GiB.`,
          { hint: "Use a smaller model or a shorter context." },
        );
      }
    }
    this.#top = end;
    this.#sizes.set(address, size);
    return address;
  }

  #grow(wanted: number, needed: number): boolean {
    for (const pages of [wanted, needed]) {
      try {
        this.memory.grow(pages);
        return true;
      } catch {
        // A RangeError: the machine has no such amount; try the smaller one.
      }
    }
    return false;
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function formatGiB(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
