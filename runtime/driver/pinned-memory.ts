import { HydrantError, invariant } from "../../src/util/errors.ts";
import { cudaError } from "./check.ts";
import type { DevicePtr, HostMemory } from "./driver.ts";
import { MAX_HOST_VIEW_BYTES } from "./driver.ts";

/** Makes `byteLength` bytes at `address` an ArrayBuffer, without a copy. */
export type ViewMemory = (address: number, byteLength: number) => ArrayBuffer;

/** Host memory of the real driver: `address` is what its calls take. */
export class PinnedMemory implements HostMemory {
  readonly byteLength: number;
  readonly devicePtr: DevicePtr;
  readonly address: number;
  readonly #viewMemory: ViewMemory;
  #whole: ArrayBuffer | undefined;

  constructor(address: number, byteLength: number, devicePtr: DevicePtr, viewMemory: ViewMemory) {
    this.#viewMemory = viewMemory;
    this.address = address;
    this.byteLength = byteLength;
    this.devicePtr = devicePtr;
  }

  view(byteOffset = 0, byteLength = this.byteLength - byteOffset): Uint8Array {
    checkRange(this, byteOffset, byteLength, "view");
    if (byteLength > MAX_HOST_VIEW_BYTES) {
      throw new HydrantError(
        "cuda/host-view-too-large",
        `A view of ${byteLength} bytes was asked for; ${MAX_HOST_VIEW_BYTES} is the most one can span.`,
        { hint: "Take several views of consecutive parts." },
      );
    }
    if (byteLength === 0) return new Uint8Array(0);
    if (this.byteLength > MAX_HOST_VIEW_BYTES) {
      return new Uint8Array(this.#viewMemory(this.address + byteOffset, byteLength));
    }
    // One external buffer for all views: making one costs tens of microseconds.
    this.#whole ??= this.#viewMemory(this.address, this.byteLength);
    return new Uint8Array(this.#whole, byteOffset, byteLength);
  }
}

/** Throws unless `bytes` bytes from `offset` lie in `memory`. */
export function checkRange(memory: HostMemory, offset: number, bytes: number, call: string): void {
  if (offset >= 0 && bytes >= 0 && offset + bytes <= memory.byteLength) return;
  throw cudaError(
    "CUDA_ERROR_INVALID_VALUE",
    call,
    `bytes ${offset} to ${offset + bytes} of host memory of ${memory.byteLength} bytes`,
  );
}

/** The memory as this driver made it. Memory of another driver is a bug of the caller's. */
export function pinned(memory: HostMemory): PinnedMemory {
  invariant(memory instanceof PinnedMemory, "host memory comes from this driver");
  return memory;
}
