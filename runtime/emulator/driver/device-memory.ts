/** Allocations of the emulated device: device memory, pinned host memory, variables of modules. */
import { GLOBAL_TAG, tagged } from "../layout.ts";

/** Every allocation starts at a multiple of this, and as much is left free after each. */
const ALIGN = 256;

export interface Allocation {
  /** Linear address. */
  readonly base: number;
  readonly bytes: number;
  readonly kind: "device" | "host" | "variable";
  /** Name of a module's variable. */
  readonly name: string | undefined;
  /** Counts allocations, so that messages can tell them apart. */
  readonly number: number;
  freed: boolean;
}

export interface DeviceMemoryOptions {
  readonly begin: number;
  readonly end: number;
  /** Freed addresses are not given out again while others are left: stale pointers stay stale. */
  readonly quarantine: boolean;
}

export class DeviceMemory {
  readonly #options: DeviceMemoryOptions;
  /** By base address, ascending: live ones and those of the quarantine. */
  readonly #list: Allocation[] = [];
  #next: number;
  #count = 0;
  #used = 0;
  #last: Allocation | undefined;

  constructor(options: DeviceMemoryOptions) {
    this.#options = options;
    this.#next = options.begin;
  }

  get total(): number {
    return this.#options.end - this.#options.begin;
  }

  get free(): number {
    return this.total - this.#used;
  }

  /** The allocation, or undefined when there is no room. */
  allocate(bytes: number, kind: Allocation["kind"], name?: string): Allocation | undefined {
    const size = sizeWithGap(bytes);
    if (size > this.free) return undefined;
    const base = this.#place(size);
    if (base === undefined) return undefined;
    const allocation: Allocation = {
      base,
      bytes,
      kind,
      name,
      number: ++this.#count,
      freed: false,
    };
    this.#list.splice(this.#indexAfter(base), 0, allocation);
    this.#used += size;
    return allocation;
  }

  #place(size: number): number | undefined {
    if (this.#next + size <= this.#options.end) {
      const base = this.#next;
      this.#next += size;
      return base;
    }
    // The end is reached: look for a gap, giving up the quarantine.
    for (let at = this.#list.length - 1; at >= 0; at--) {
      if (this.#list[at]?.freed) this.#list.splice(at, 1);
    }
    let end = this.#options.begin;
    for (const allocation of this.#list) {
      if (allocation.base - end >= size) return end;
      end = allocation.base + sizeWithGap(allocation.bytes);
    }
    return this.#options.end - end >= size ? end : undefined;
  }

  release(allocation: Allocation): void {
    allocation.freed = true;
    this.#used -= sizeWithGap(allocation.bytes);
    this.#last = undefined;
    if (this.#options.quarantine) return;
    const at = this.#list.indexOf(allocation);
    if (at === this.#list.length - 1) this.#next = allocation.base;
    if (at >= 0) this.#list.splice(at, 1);
  }

  #indexAfter(address: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle]?.base ?? 0) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The allocation (freed ones too) at or before a linear address, whether or not it reaches it. */
  before(address: number): Allocation | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.base + last.bytes) return last;
    const found = this.#list[this.#indexAfter(address) - 1];
    this.#last = found;
    return found;
  }

  /** The allocation that holds a linear address. */
  at(address: number): Allocation | undefined {
    const found = this.before(address);
    return found !== undefined && address < found.base + Math.max(found.bytes, 1)
      ? found
      : undefined;
  }

  /** The allocation that begins at a device pointer. */
  byPointer(pointer: number): Allocation | undefined {
    const found = this.at(linearOf(pointer) ?? -1);
    return found !== undefined && tagged(found.base) === pointer ? found : undefined;
  }

  live(): readonly Allocation[] {
    return this.#list.filter((allocation) => !allocation.freed);
  }
}

function sizeWithGap(bytes: number): number {
  return Math.ceil(Math.max(bytes, 1) / ALIGN) * ALIGN + ALIGN;
}

/** Linear address of a device pointer, or undefined if it is none. */
export function linearOf(pointer: number): number | undefined {
  const high = Math.floor(pointer / 2 ** 32);
  return high === GLOBAL_TAG ? pointer - high * 2 ** 32 : undefined;
}

/** `allocation 3 (400 bytes)`, or the name of a variable. */
export function describe(allocation: Allocation): string {
  if (allocation.name !== undefined) return `variable ${allocation.name}`;
  return `allocation ${allocation.number} (${allocation.bytes} bytes of ${allocation.kind} memory)`;
}
