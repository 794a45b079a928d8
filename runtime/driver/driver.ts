/**
 * The one boundary between the runtime and a GPU: the driver-API entry points the runtime uses,
 * with typed handles instead of raw pointers. Two implementations exist: the binding of the real
 * library (cuda-driver.ts) and the emulator (runtime/emulator); open-driver.ts picks one.
 *
 * Rules both keep:
 * - Every method throws a `CudaError` (check.ts) when the driver answers anything but success.
 * - Calls are made from one thread. `init` comes first, then a context must be current for
 *   everything from memory on.
 * - Work on one stream runs in order; work on two streams is ordered by events alone. Streams are
 *   created non-blocking, so they do not wait for `NULL_STREAM` either.
 * - The synchronous copies return when the bytes are where they should be, and are ordered with
 *   `NULL_STREAM` only: synchronise a stream before copying what it writes.
 */
import type {
  DeviceAttribute,
  FunctionAttribute,
  SettableFunctionAttribute,
} from "./attributes.ts";
import type { TensorMap } from "../../src/ir/program.ts";
import type { PackedArgs } from "./kernel-args.ts";

declare const handleOf: unique symbol;
type Handle<Kind extends string> = number & { readonly [handleOf]: Kind };

/** Address in device memory, in bytes. Move it with `offsetPtr`. */
export type DevicePtr = Handle<"device memory">;
export type Device = Handle<"device">;
export type Context = Handle<"context">;
export type Stream = Handle<"stream">;
export type CudaEvent = Handle<"event">;
export type CudaModule = Handle<"module">;
export type CudaFunction = Handle<"function">;
export type Graph = Handle<"graph">;
export type GraphNode = Handle<"graph node">;
export type GraphExec = Handle<"graph exec">;
/** Opaque 64-bit value that kernels pass to the condition intrinsic, hence a bigint argument. */
export type ConditionalHandle = bigint & { readonly [handleOf]: "conditional" };

/** The legacy default stream. Orders itself with nothing we create; kept for synchronous use. */
export const NULL_STREAM = 0 as Stream;

/** The address `bytes` further on. */
export function offsetPtr(ptr: DevicePtr, bytes: number): DevicePtr {
  return (ptr + bytes) as DevicePtr;
}

/** Size and alignment of a `CUtensorMap`, in bytes. */
export const TENSOR_MAP_BYTES = 128;
export const TENSOR_MAP_ALIGN = 128;

/** The most bytes one view of host memory may span: longer ones end the process inside the FFI. */
export const MAX_HOST_VIEW_BYTES = 2 ** 32;

/** Page-locked host memory, readable and writable by kernels at `devicePtr`. */
export interface HostMemory {
  readonly byteLength: number;
  readonly devicePtr: DevicePtr;
  /**
   * A window on the memory itself, no copy: `byteLength` bytes from `byteOffset`, of at most
   * `MAX_HOST_VIEW_BYTES`. It must not be touched after `memFreeHost`.
   */
  view(byteOffset?: number, byteLength?: number): Uint8Array;
}

export interface Dim3 {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Where and how wide a kernel runs. Grid in blocks, block in threads, cluster in blocks. */
export interface LaunchConfig {
  readonly grid: Dim3;
  readonly block: Dim3;
  /** Bytes of dynamic shared memory per block; 0 when absent. */
  readonly sharedBytes?: number;
  /** Blocks per cluster (compute capability 9.0 and newer); must divide the grid. */
  readonly cluster?: Dim3;
  /**
   * Programmatic dependent launch: blocks may start before the previous kernel of the stream has
   * ended, and see its writes only after `griddepcontrol.wait` (compute capability 9.0 and newer).
   * For launches, captured ones included; explicitly added kernel nodes refuse it.
   */
  readonly programmatic?: boolean;
  /** All blocks resident at once, so that they may wait for one another. */
  readonly cooperative?: boolean;
}

/** A kernel, its shape and its arguments: what `launch` and kernel nodes of graphs take. */
export interface KernelLaunch extends LaunchConfig {
  readonly function: CudaFunction;
  readonly args: PackedArgs;
}

/** Byte offset and size of one kernel parameter, as compiled. */
export interface ParamLayout {
  readonly offset: number;
  readonly size: number;
}

export type ConditionalKind = "if" | "while" | "switch";

/** What not every driver can do; ask before use. */
export type DriverFeature =
  | "conditional-nodes"
  | "capture-to-graph"
  | "clusters"
  | "param-layout"
  | "tensor-maps";

export interface CudaDriver {
  readonly kind: "cuda" | "emulator";

  /** Must be called once before anything else. Throws `cuda/no-device` where there is no GPU. */
  init(): void;
  /** Newest CUDA version the driver supports, as 1000 × major + 10 × minor (12040 is 12.4). */
  driverVersion(): number;
  /** True when this driver (not: this device) has the entry points for it. */
  supports(feature: DriverFeature): boolean;
  /** Gives back what the binding or the emulator itself holds. No call may follow. */
  close(): void;

  deviceCount(): number;
  deviceGet(ordinal: number): Device;
  deviceName(device: Device): string;
  deviceAttribute(device: Device, attribute: DeviceAttribute): number;
  /** Bytes. */
  deviceTotalMemory(device: Device): number;

  primaryContextRetain(device: Device): Context;
  primaryContextRelease(device: Device): void;
  contextSetCurrent(context: Context): void;
  /** Waits for all work of the current context. */
  contextSynchronize(): void;

  /** Bytes free and in total on the current device. */
  memoryInfo(): { readonly free: number; readonly total: number };
  /** At least 256-byte aligned. Throws `cuda/out-of-memory`, saying what was asked and is free. */
  memAlloc(bytes: number): DevicePtr;
  memFree(ptr: DevicePtr): void;
  memAllocHost(bytes: number, options?: { readonly writeCombined?: boolean }): HostMemory;
  memFreeHost(memory: HostMemory): void;

  memcpyHtoD(dst: DevicePtr, src: ArrayBufferView): void;
  memcpyDtoH(dst: ArrayBufferView, src: DevicePtr): void;
  memcpyDtoD(dst: DevicePtr, src: DevicePtr, bytes: number): void;
  /** Only page-locked memory can be copied from asynchronously; it must live until it is done. */
  memcpyHtoDAsync(
    dst: DevicePtr,
    src: HostMemory,
    srcOffset: number,
    bytes: number,
    stream: Stream,
  ): void;
  memcpyDtoHAsync(
    dst: HostMemory,
    dstOffset: number,
    src: DevicePtr,
    bytes: number,
    stream: Stream,
  ): void;
  memcpyDtoDAsync(dst: DevicePtr, src: DevicePtr, bytes: number, stream: Stream): void;
  /** Sets `bytes` bytes to the low 8 bits of `value`. */
  memsetD8(dst: DevicePtr, value: number, bytes: number): void;
  /** Sets `count` 32-bit words; `dst` must be 4-byte aligned. */
  memsetD32(dst: DevicePtr, value: number, count: number): void;
  memsetD8Async(dst: DevicePtr, value: number, bytes: number, stream: Stream): void;
  memsetD32Async(dst: DevicePtr, value: number, count: number, stream: Stream): void;

  /** A non-blocking stream. Lower `priority` values run first; 0 is the lowest priority. */
  streamCreate(options?: { readonly priority?: number }): Stream;
  streamDestroy(stream: Stream): void;
  /** True when all work queued so far is done. */
  streamQuery(stream: Stream): boolean;
  streamSynchronize(stream: Stream): void;
  /** Work queued on `stream` from now on waits for the last record of `event`. */
  streamWaitEvent(stream: Stream, event: CudaEvent): void;

  eventCreate(options?: { readonly timing?: boolean }): CudaEvent;
  eventDestroy(event: CudaEvent): void;
  eventRecord(event: CudaEvent, stream: Stream): void;
  /** True when the work before the last record is done, or nothing was ever recorded. */
  eventQuery(event: CudaEvent): boolean;
  eventSynchronize(event: CudaEvent): void;
  /** Milliseconds between two events created with `timing`. */
  eventElapsed(start: CudaEvent, end: CudaEvent): number;

  /** `image` is a cubin, or PTX text as UTF-8 with or without the closing NUL. */
  moduleLoadData(image: Uint8Array): CudaModule;
  moduleUnload(module: CudaModule): void;
  /** `name` is the symbol as compiled: mangled unless declared `extern "C"`. */
  moduleGetFunction(module: CudaModule, name: string): CudaFunction;
  moduleGetGlobal(module: CudaModule, name: string): { ptr: DevicePtr; bytes: number };
  functionAttribute(fn: CudaFunction, attribute: FunctionAttribute): number;
  functionSetAttribute(fn: CudaFunction, attribute: SettableFunctionAttribute, value: number): void;
  /** Needs the feature `param-layout`. */
  functionParams(fn: CudaFunction): readonly ParamLayout[];

  /**
   * The `CUtensorMap` of a matrix at `address` (a multiple of 16): `TENSOR_MAP_BYTES` bytes to pass
   * to kernels by value, at a multiple of `TENSOR_MAP_ALIGN`. Needs the feature `tensor-maps`; throws
   * `cuda/driver-too-old` without it and `cuda/invalid-value` for a map that no copy could follow.
   */
  tensorMapEncode(address: DevicePtr, map: TensorMap): Uint8Array<ArrayBuffer>;

  launch(kernel: KernelLaunch, stream: Stream): void;

  /** From here on, work queued on `stream` becomes nodes of a graph instead of running. */
  streamBeginCapture(stream: Stream): void;
  /** As `streamBeginCapture`, appending to `graph` after the nodes in `dependencies`. */
  streamBeginCaptureToGraph(stream: Stream, graph: Graph, dependencies: readonly GraphNode[]): void;
  streamEndCapture(stream: Stream): Graph;

  graphCreate(): Graph;
  graphDestroy(graph: Graph): void;
  /** All nodes of the graph, in no promised order. */
  graphNodes(graph: Graph): readonly GraphNode[];
  graphAddKernelNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    kernel: KernelLaunch,
  ): GraphNode;
  /**
   * A value that kernels of `graph` set and a conditional node reads. With `defaultValue`, every
   * launch of the graph starts from it; without, the value of the last launch stays.
   */
  graphConditionalCreate(graph: Graph, defaultValue?: number): ConditionalHandle;
  /** `bodies` graphs are made by the driver and live as long as the node; fill them by capture. */
  graphAddConditionalNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    conditional: {
      readonly kind: ConditionalKind;
      readonly handle: ConditionalHandle;
      /** 1 for `while`, 1 or 2 (else) for `if`, any for `switch`. */
      readonly bodies: number;
    },
  ): { readonly node: GraphNode; readonly bodies: readonly Graph[] };

  graphInstantiate(graph: Graph): GraphExec;
  graphExecDestroy(exec: GraphExec): void;
  /** Takes over the parameters of `graph`, which must have the shape `exec` was made from. */
  graphExecUpdate(exec: GraphExec, graph: Graph): void;
  /** New shape and arguments for one node; the function must be the same or of the same module. */
  graphExecKernelNodeSetParams(exec: GraphExec, node: GraphNode, kernel: KernelLaunch): void;
  graphLaunch(exec: GraphExec, stream: Stream): void;
}
