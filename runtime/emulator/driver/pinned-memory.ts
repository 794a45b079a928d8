import { type DevicePtr, type HostMemory, MAX_HOST_VIEW_BYTES } from "../../driver/driver.ts";
import type { Allocation } from "./device-memory.ts";

/** Host memory that kernels can reach: it lies in the emulator's memory, beside the device's. */
export class PinnedMemory implements HostMemory {
  readonly byteLength: number;
  readonly devicePtr: DevicePtr;
  readonly allocation: Allocation;
  readonly #buffer: ArrayBuffer;

  constructor(allocation: Allocation, devicePtr: DevicePtr, buffer: ArrayBuffer) {
    this.allocation = allocation;
    this.byteLength = allocation.bytes;
    this.devicePtr = devicePtr;
    this.#buffer = buffer;
  }

  view(byteOffset = 0, byteLength = this.byteLength - byteOffset): Uint8Array {
    const end = byteOffset + byteLength;
    if (
      byteOffset < 0 ||
      byteLength < 0 ||
      end > this.byteLength ||
      byteLength > MAX_HOST_VIEW_BYTES
    ) {
      throw new RangeError(`bytes ${byteOffset} to ${end} of ${this.byteLength}`);
    }
    if (this.allocation.freed) throw new RangeError("the memory was given back");
    return new Uint8Array(this.#buffer, this.allocation.base + byteOffset, byteLength);
  }
}
