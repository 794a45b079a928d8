import type { DevicePtr, HostMemory, Stream } from "../driver/driver.ts";
import type { CudaDevice } from "./device.ts";
import { checkRoom, explainAllocation, type Need } from "./memory-errors.ts";

/** Bytes of what the programs of a session share, one after the other. */
export interface SharedNeeds {
  readonly arena: number;
  /** Of the host's inputs, on the device and in page-locked memory. */
  readonly inputs: number;
  readonly counters: number;
  readonly ring: number;
}

interface Growable {
  readonly bytes: number;
  /** True when it is new memory. The old is given back first: nothing in it outlives a run. */
  grow(bytes: number): boolean;
}

/** Memory that is as large as the largest demand on it so far. */
class Region<Memory> implements Growable {
  readonly #make: (bytes: number) => Memory;
  readonly #free: (memory: Memory) => void;
  #held: { readonly memory: Memory; readonly bytes: number } | undefined;

  constructor(make: (bytes: number) => Memory, free: (memory: Memory) => void) {
    this.#make = make;
    this.#free = free;
  }

  get bytes(): number {
    return this.#held?.bytes ?? 0;
  }

  get memory(): Memory | undefined {
    return this.#held?.memory;
  }

  grow(bytes: number): boolean {
    if (bytes <= this.bytes) return false;
    this.release();
    this.#held = { memory: this.#make(bytes), bytes };
    return true;
  }

  release(): void {
    if (this.#held !== undefined) this.#free(this.#held.memory);
    this.#held = undefined;
  }
}

/**
 * The memory that the programs of a session use by turns: arena, counters, inputs, output ring. Its
 * addresses change when it grows; `epoch` tells.
 */
export class SessionMemory {
  readonly #device: CudaDevice;
  readonly #stream: Stream;
  readonly #arena: Region<DevicePtr>;
  readonly #counters: Region<DevicePtr>;
  readonly #inputs: Region<DevicePtr>;
  readonly #hostInputs: Region<HostMemory>;
  readonly #ring: Region<HostMemory>;
  #epoch = 0;

  constructor(device: CudaDevice, stream: Stream) {
    this.#device = device;
    this.#stream = stream;
    const { driver } = device;
    const onDevice = () =>
      new Region(
        (bytes) => driver.memAlloc(bytes),
        (ptr) => device.release(() => driver.memFree(ptr)),
      );
    const onHost = () =>
      new Region(
        (bytes) => driver.memAllocHost(bytes),
        (memory) => device.release(() => driver.memFreeHost(memory)),
      );
    this.#arena = onDevice();
    this.#counters = onDevice();
    this.#inputs = onDevice();
    this.#hostInputs = onHost();
    this.#ring = onHost();
  }

  /** Changes whenever an address does. */
  get epoch(): number {
    return this.#epoch;
  }

  get arena(): DevicePtr | undefined {
    return this.#arena.memory;
  }

  get counters(): DevicePtr | undefined {
    return this.#counters.memory;
  }

  get inputs(): DevicePtr | undefined {
    return this.#inputs.memory;
  }

  /** Where the host puts inputs for the copy to `inputs`. */
  get hostInputs(): HostMemory | undefined {
    return this.#hostInputs.memory;
  }

  get ring(): HostMemory | undefined {
    return this.#ring.memory;
  }

  get bytes(): { readonly arena: number; readonly ring: number; readonly other: number } {
    return {
      arena: this.#arena.bytes,
      ring: this.#ring.bytes,
      other: this.#counters.bytes + this.#inputs.bytes,
    };
  }

  /** Device memory still to be allocated for these needs. */
  growth(needs: SharedNeeds): Need[] {
    const more = (region: Growable, bytes: number) =>
      bytes > region.bytes ? bytes - region.bytes : 0;
    return [
      { what: "scratch memory", bytes: more(this.#arena, needs.arena) },
      {
        what: "inputs and counters",
        bytes: more(this.#inputs, needs.inputs) + more(this.#counters, needs.counters),
      },
    ];
  }

  /**
   * Grows to the needs. No run of the session may be under way.
   * @throws HydrantError `cuda/session-too-large`
   */
  reserve(needs: SharedNeeds): void {
    const growing: readonly (readonly [Growable, number])[] = [
      [this.#arena, needs.arena],
      [this.#counters, needs.counters],
      [this.#inputs, needs.inputs],
      [this.#hostInputs, needs.inputs],
      [this.#ring, needs.ring],
    ];
    if (growing.every(([region, bytes]) => bytes <= region.bytes)) return;
    const wanted = this.growth(needs);
    checkRoom(this.#device, "cuda/session-too-large", wanted);
    this.#epoch++;
    const { driver } = this.#device;
    try {
      // Results are seen a moment before the kernel that wrote them has ended.
      driver.streamSynchronize(this.#stream);
      for (const [region, bytes] of growing) {
        if (!region.grow(bytes) || region !== this.#counters) continue;
        const { memory } = this.#counters;
        if (memory !== undefined) driver.memsetD8Async(memory, 0, bytes, this.#stream);
      }
    } catch (error) {
      throw explainAllocation(this.#device, "cuda/session-too-large", wanted, error);
    }
  }

  dispose(): void {
    for (const region of [this.#arena, this.#counters, this.#inputs]) region.release();
    for (const region of [this.#hostInputs, this.#ring]) region.release();
  }
}
