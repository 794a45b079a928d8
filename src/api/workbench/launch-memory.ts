import {
  type CudaDriver,
  type DevicePtr,
  type HostMemory,
  type KernelLaunch,
  TENSOR_MAP_ALIGN,
} from "../../../runtime/driver/driver.ts";
import { type KernelArg, packArgs } from "../../../runtime/driver/kernel-args.ts";
import { invariant } from "../../util/errors.ts";
import type { ArgumentSpec, BufferSpec, KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import type { LoadedKernel } from "./kernel-image.ts";
import type { Content } from "./launch-values.ts";

/** The memory of one launch on a device: every buffer an allocation of its own, and the ring. */
export class LaunchMemory {
  readonly #driver: CudaDriver;
  readonly #spec: KernelSpec;
  readonly #launch: LaunchSpec;
  readonly #places = new Map<number, { readonly ptr: DevicePtr; readonly bytes: number }>();
  #ring: HostMemory | undefined;

  /** Allocates, and fills from `values`. @throws CudaError when there is too little memory. */
  constructor(
    driver: CudaDriver,
    spec: KernelSpec,
    launch: LaunchSpec,
    values: ReadonlyMap<number, Content>,
  ) {
    this.#driver = driver;
    this.#spec = spec;
    this.#launch = launch;
    try {
      for (const [id, content] of values) this.#allocate(id, content);
      if (launch.args.some(({ type }) => type === "ring")) this.#makeRing();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Bytes of device memory. */
  get bytes(): number {
    return [...this.#places.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * The launch as the runtime makes it.
   * @param launch another one, all of whose buffers this memory has.
   */
  kernelLaunch(
    { function: fn, shape }: LoadedKernel,
    launch: LaunchSpec = this.#launch,
  ): KernelLaunch {
    const [x, y, z] = shape.grid;
    return {
      function: fn,
      grid: { x, y, z },
      block: { x: shape.threads, y: 1, z: 1 },
      sharedBytes: shape.dynamicSharedBytes,
      args: packArgs(launch.args.map((arg) => this.#argument(arg))),
    };
  }

  /** Content of a buffer. No launch may be under way. */
  read(id: number): Uint8Array {
    const { ptr, bytes } = this.#place(id);
    const out = new Uint8Array(bytes);
    if (bytes > 0) this.#driver.memcpyDtoH(out, ptr);
    return out;
  }

  /** Puts a content anew into a buffer. No launch may be under way. */
  fill(id: number, content: Content): void {
    const { ptr, bytes } = this.#place(id);
    // Only the emulator can tell what was never written; a GPU gets something that shows.
    const isLeft = content === "uninitialised" && this.#driver.kind === "emulator";
    if (content instanceof Uint8Array) this.#driver.memcpyHtoD(ptr, content);
    else if (!isLeft) this.#driver.memsetD8(ptr, 0xff, bytes);
  }

  readRing(): Uint8Array | undefined {
    return this.#ring?.view().slice();
  }

  /** Takes over what another memory of the same launch holds. */
  copyFrom(other: LaunchMemory): void {
    for (const [id, { ptr, bytes }] of this.#places)
      this.#driver.memcpyDtoD(ptr, other.#place(id).ptr, bytes);
  }

  release(): void {
    try {
      for (const { ptr } of this.#places.values()) this.#driver.memFree(ptr);
      if (this.#ring !== undefined) this.#driver.memFreeHost(this.#ring);
    } catch {
      // After a fault the context takes no calls; closing the driver gives everything back.
    }
    this.#places.clear();
    this.#ring = undefined;
  }

  #allocate(id: number, content: Content): void {
    const { bytes, kind } = bufferOf(this.#launch, id);
    // States are whole vectors in a session, too: kernels may move them in wide pieces.
    const padded = kind === "state" ? Math.ceil(bytes / 16) * 16 : bytes;
    const ptr = this.#driver.memAlloc(Math.max(padded, 1));
    this.#places.set(id, { ptr, bytes });
    if (padded > bytes) this.#driver.memsetD8(ptr, 0, padded);
    this.fill(id, content);
  }

  #makeRing(): void {
    const { slots, slotBytes } = this.#spec.ring;
    this.#ring = this.#driver.memAllocHost(Math.max(16, slots * slotBytes));
    this.#ring.view().fill(0);
  }

  #place(id: number): { readonly ptr: DevicePtr; readonly bytes: number } {
    const place = this.#places.get(id);
    invariant(place !== undefined, `buffer ${id} is one of the launch`);
    return place;
  }

  #argument(arg: ArgumentSpec): KernelArg {
    switch (arg.type) {
      case "i32":
      case "f32":
        return { type: arg.type, value: arg.value };
      case "buffer":
        return { type: "ptr", value: this.#place(arg.buffer.id).ptr };
      case "table": {
        const addresses = arg.buffers.map(({ id }) => BigInt(this.#place(id).ptr));
        const bytes = new Uint8Array(BigUint64Array.from(addresses).buffer);
        return { type: "bytes", value: bytes, align: 8 };
      }
      case "tensor-map": {
        const value = this.#driver.tensorMapEncode(this.#place(arg.buffer.id).ptr, arg.map);
        return { type: "bytes", value, align: TENSOR_MAP_ALIGN };
      }
      case "ring":
        invariant(this.#ring !== undefined, "a launch with a ring argument has a ring");
        return { type: "ptr", value: this.#ring.devicePtr };
      default:
        return arg satisfies never;
    }
  }
}

function bufferOf({ args }: LaunchSpec, wanted: number): BufferSpec {
  for (const arg of args) {
    const buffers = "buffer" in arg ? [arg.buffer] : "buffers" in arg ? arg.buffers : [];
    const found = buffers.find(({ id }) => id === wanted);
    if (found !== undefined) return found;
  }
  throw new RangeError(`no argument is buffer ${wanted}`);
}
