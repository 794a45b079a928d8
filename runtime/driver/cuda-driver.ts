/** The CUDA driver library behind `CudaDriver`, through koffi. Needs a driver for CUDA 12.0 or newer. */
import koffi from "koffi";
import { HydrantError, invariant } from "../../src/util/errors.ts";
import { DEVICE_ATTRIBUTES, FUNCTION_ATTRIBUTES } from "./attributes.ts";
import { CUDA_RESULTS, CudaError, cudaError } from "./check.ts";
import {
  type NativeArgument,
  type NativeCall,
  OPTIONAL_ENTRY_POINTS,
  type OptionalEntryPoint,
  REQUIRED_ENTRY_POINTS,
  type RequiredEntryPoint,
} from "./cuda-entry-points.ts";
import {
  MAX_ARGUMENT_BYTES,
  type NativeMemory,
  readConditionalBodies,
  SCRATCH_BYTES,
  writeArguments,
  writeConditionalNodeParams,
  writeKernelNodeParams,
  writeLaunchConfig,
  writeNodeAttributes,
} from "./cuda-structs.ts";
import type {
  ConditionalHandle,
  Context,
  CudaDriver,
  CudaEvent,
  CudaFunction,
  CudaModule,
  Device,
  DevicePtr,
  Graph,
  GraphExec,
  GraphNode,
  HostMemory,
  KernelLaunch,
  ParamLayout,
  Stream,
} from "./driver.ts";
import { MAX_HOST_VIEW_BYTES } from "./driver.ts";

const STREAM_NON_BLOCKING = 1;
const EVENT_DISABLE_TIMING = 2;
const HOST_ALLOC_PORTABLE_MAPPED = 3;
const HOST_ALLOC_WRITE_COMBINED = 4;
const CAPTURE_MODE_THREAD_LOCAL = 1;
const CONDITIONAL_ASSIGN_DEFAULT = 1;
/** The driver's PTX compiler is deeper than koffi's own stack of 2 MiB is sure to hold. */
const NATIVE_STACK_BYTES = 8 * 2 ** 20;

const DRIVER_HINT =
  "Install the NVIDIA driver (525 or newer), point HYDRANT_CUDA_DRIVER at libcuda.so.1, or use the CPU or the emulator.";

/**
 * Binds the driver library at `path`: by default `HYDRANT_CUDA_DRIVER` or what the loader finds.
 * Throws `cuda/no-driver` when there is none and `cuda/driver-too-old` when entry points miss.
 * `init` must still be called.
 */
export function loadCudaDriver(
  path: string = process.env.HYDRANT_CUDA_DRIVER || "libcuda.so.1",
): CudaDriver {
  // Settings hold from the first library on; whoever loads one first makes them.
  if ((koffi.config().sync_stack_size ?? 0) < NATIVE_STACK_BYTES) {
    try {
      koffi.config({ sync_stack_size: NATIVE_STACK_BYTES });
    } catch {
      // A library is loaded already, with the smaller stack: enough for all but extreme PTX.
    }
  }
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(path);
  } catch (error) {
    throw new HydrantError("cuda/no-driver", "The CUDA driver library does not load.", {
      path,
      hint: DRIVER_HINT,
      cause: error,
    });
  }
  const find = (prototype: string): NativeCall | undefined => {
    try {
      return library.func(prototype);
    } catch {
      return undefined;
    }
  };
  const required = new Map<RequiredEntryPoint, NativeCall>();
  for (const [name, prototype] of Object.entries(REQUIRED_ENTRY_POINTS)) {
    const call = find(prototype);
    if (call === undefined) {
      throw new HydrantError("cuda/driver-too-old", `The driver library has no ${name}.`, {
        path,
        hint: "Update the NVIDIA driver to 525 (CUDA 12.0) or newer.",
      });
    }
    required.set(name as RequiredEntryPoint, call);
  }
  const optional = new Map<OptionalEntryPoint, NativeCall>();
  for (const [name, prototype] of Object.entries(OPTIONAL_ENTRY_POINTS)) {
    const call = find(prototype);
    if (call !== undefined) optional.set(name as OptionalEntryPoint, call);
  }
  return new CudaLibraryDriver(required, optional);
}

class PinnedMemory implements HostMemory {
  readonly byteLength: number;
  readonly devicePtr: DevicePtr;
  readonly address: number;
  #whole: ArrayBuffer | undefined;

  constructor(address: number, byteLength: number, devicePtr: DevicePtr) {
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
      return new Uint8Array(koffi.view(BigInt(this.address + byteOffset), byteLength));
    }
    // One external buffer for all views: making one costs tens of microseconds.
    this.#whole ??= koffi.view(BigInt(this.address), this.byteLength);
    return new Uint8Array(this.#whole, byteOffset, byteLength);
  }
}

function checkRange(memory: HostMemory, offset: number, bytes: number, call: string): void {
  if (offset >= 0 && bytes >= 0 && offset + bytes <= memory.byteLength) return;
  throw cudaError(
    "CUDA_ERROR_INVALID_VALUE",
    call,
    `bytes ${offset} to ${offset + bytes} of host memory of ${memory.byteLength} bytes`,
  );
}

class CudaLibraryDriver implements CudaDriver {
  readonly kind = "cuda";
  readonly #required: ReadonlyMap<RequiredEntryPoint, NativeCall>;
  readonly #optional: ReadonlyMap<OptionalEntryPoint, NativeCall>;
  // Memory that does not move: the driver reads launch structures through addresses inside it.
  readonly #scratch: NativeMemory;
  readonly #scratchPointer: unknown;
  // Reused for every out-parameter; the driver is called from one thread and never re-entered.
  readonly #out64 = new BigUint64Array(1);
  readonly #out32 = new Int32Array(1);
  readonly #outFloat = new Float32Array(1);
  readonly #launch: NativeCall;
  readonly #graphLaunch: NativeCall;

  constructor(
    required: ReadonlyMap<RequiredEntryPoint, NativeCall>,
    optional: ReadonlyMap<OptionalEntryPoint, NativeCall>,
  ) {
    this.#required = required;
    this.#optional = optional;
    this.#scratchPointer = koffi.alloc("uint8_t", SCRATCH_BYTES);
    this.#scratch = {
      address: Number(koffi.address(this.#scratchPointer)),
      view: new DataView(koffi.view(this.#scratchPointer, SCRATCH_BYTES)),
    };
    this.#launch = this.#function("cuLaunchKernelEx");
    this.#graphLaunch = this.#function("cuGraphLaunch");
  }

  #function(name: RequiredEntryPoint): NativeCall {
    const call = this.#required.get(name);
    invariant(call !== undefined, `${name} is bound`);
    return call;
  }

  #call(name: RequiredEntryPoint, ...args: NativeArgument[]): void {
    const result = this.#function(name)(...args);
    if (result !== 0) throw new CudaError(result, publicName(name));
  }

  #callOptional(name: OptionalEntryPoint, ...args: NativeArgument[]): void {
    const call = this.#optional.get(name);
    if (call === undefined) {
      throw cudaError("CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", publicName(name));
    }
    const result = call(...args);
    if (result !== 0) throw new CudaError(result, publicName(name));
  }

  /** Calls a function whose first parameter is a pointer to the handle or address it returns. */
  #create<H extends number>(name: RequiredEntryPoint, ...args: NativeArgument[]): H {
    this.#call(name, this.#out64, ...args);
    return this.#handle<H>();
  }

  #handle<H extends number>(): H {
    const value = Number(this.#out64[0]);
    invariant(Number.isSafeInteger(value), "addresses and handles fit in 53 bits");
    return value as H;
  }

  /** Calls a query that answers "not yet" with an error code of its own. */
  #ready(name: RequiredEntryPoint, handle: number): boolean {
    const result = this.#function(name)(handle);
    if (result === CUDA_RESULTS.CUDA_ERROR_NOT_READY) return false;
    if (result !== 0) throw new CudaError(result, publicName(name));
    return true;
  }

  init(): void {
    this.#call("cuInit", 0);
  }

  driverVersion(): number {
    this.#call("cuDriverGetVersion", this.#out32);
    return this.#out32[0] ?? 0;
  }

  supports(feature: Parameters<CudaDriver["supports"]>[0]): boolean {
    switch (feature) {
      case "conditional-nodes":
        return (
          this.#optional.has("cuGraphConditionalHandleCreate") &&
          this.#optional.has("cuGraphAddNode_v2")
        );
      case "capture-to-graph":
        return this.#optional.has("cuStreamBeginCaptureToGraph");
      case "param-layout":
        return this.#optional.has("cuFuncGetParamInfo");
      case "clusters":
        return true; // Since the first driver this binding takes.
      default:
        return feature satisfies never;
    }
  }

  close(): void {
    koffi.free(this.#scratchPointer);
  }

  deviceCount(): number {
    this.#call("cuDeviceGetCount", this.#out32);
    return this.#out32[0] ?? 0;
  }

  deviceGet(ordinal: number): Device {
    this.#call("cuDeviceGet", this.#out32, ordinal);
    return (this.#out32[0] ?? 0) as Device;
  }

  deviceName(device: Device): string {
    const name = new Uint8Array(256);
    this.#call("cuDeviceGetName", name, name.length, device);
    return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  }

  deviceAttribute(device: Device, attribute: keyof typeof DEVICE_ATTRIBUTES): number {
    this.#call("cuDeviceGetAttribute", this.#out32, DEVICE_ATTRIBUTES[attribute], device);
    return this.#out32[0] ?? 0;
  }

  deviceTotalMemory(device: Device): number {
    return this.#create("cuDeviceTotalMem_v2", device);
  }

  primaryContextRetain(device: Device): Context {
    return this.#create("cuDevicePrimaryCtxRetain", device);
  }

  primaryContextRelease(device: Device): void {
    this.#call("cuDevicePrimaryCtxRelease_v2", device);
  }

  contextSetCurrent(context: Context): void {
    this.#call("cuCtxSetCurrent", context);
  }

  contextSynchronize(): void {
    this.#call("cuCtxSynchronize");
  }

  memoryInfo(): { readonly free: number; readonly total: number } {
    const total = new BigUint64Array(1);
    const free = this.#create<number>("cuMemGetInfo_v2", total);
    return { free, total: Number(total[0]) };
  }

  memAlloc(bytes: number): DevicePtr {
    return this.#allocate("cuMemAlloc_v2", bytes);
  }

  #allocate<H extends number>(
    name: "cuMemAlloc_v2" | "cuMemHostAlloc",
    bytes: number,
    ...flags: number[]
  ): H {
    const result = this.#function(name)(this.#out64, bytes, ...flags);
    if (result === 0) return this.#handle<H>();
    if (result !== CUDA_RESULTS.CUDA_ERROR_OUT_OF_MEMORY) {
      throw new CudaError(result, publicName(name), `asked for ${bytes} bytes`);
    }
    if (name === "cuMemHostAlloc") {
      throw new CudaError(
        result,
        publicName(name),
        `asked for ${gib(bytes)} of page-locked memory`,
      );
    }
    const { free, total } = this.memoryInfo();
    throw new CudaError(
      result,
      publicName(name),
      `asked for ${gib(bytes)}, ${gib(free)} of ${gib(total)} are free`,
    );
  }

  memFree(ptr: DevicePtr): void {
    this.#call("cuMemFree_v2", ptr);
  }

  memAllocHost(bytes: number, options: { readonly writeCombined?: boolean } = {}): HostMemory {
    const combined = options.writeCombined === true ? HOST_ALLOC_WRITE_COMBINED : 0;
    const flags = HOST_ALLOC_PORTABLE_MAPPED | combined;
    const address = this.#allocate<number>("cuMemHostAlloc", bytes, flags);
    const devicePtr = this.#create<DevicePtr>("cuMemHostGetDevicePointer_v2", address, 0);
    return new PinnedMemory(address, bytes, devicePtr);
  }

  memFreeHost(memory: HostMemory): void {
    this.#call("cuMemFreeHost", pinned(memory).address);
  }

  memcpyHtoD(dst: DevicePtr, src: ArrayBufferView): void {
    this.#call("cuMemcpyHtoD_v2", dst, asBytes(src), src.byteLength);
  }

  memcpyDtoH(dst: ArrayBufferView, src: DevicePtr): void {
    this.#call("cuMemcpyDtoH_v2", asBytes(dst), src, dst.byteLength);
  }

  memcpyDtoD(dst: DevicePtr, src: DevicePtr, bytes: number): void {
    this.#call("cuMemcpyDtoD_v2", dst, src, bytes);
  }

  memcpyHtoDAsync(
    dst: DevicePtr,
    src: HostMemory,
    srcOffset: number,
    bytes: number,
    stream: Stream,
  ): void {
    checkRange(src, srcOffset, bytes, "cuMemcpyHtoDAsync");
    this.#call("cuMemcpyHtoDAsync_v2", dst, pinned(src).address + srcOffset, bytes, stream);
  }

  memcpyDtoHAsync(
    dst: HostMemory,
    dstOffset: number,
    src: DevicePtr,
    bytes: number,
    stream: Stream,
  ): void {
    checkRange(dst, dstOffset, bytes, "cuMemcpyDtoHAsync");
    this.#call("cuMemcpyDtoHAsync_v2", pinned(dst).address + dstOffset, src, bytes, stream);
  }

  memcpyDtoDAsync(dst: DevicePtr, src: DevicePtr, bytes: number, stream: Stream): void {
    this.#call("cuMemcpyDtoDAsync_v2", dst, src, bytes, stream);
  }

  memsetD8(dst: DevicePtr, value: number, bytes: number): void {
    this.#call("cuMemsetD8_v2", dst, value & 0xff, bytes);
  }

  memsetD32(dst: DevicePtr, value: number, count: number): void {
    this.#call("cuMemsetD32_v2", dst, value >>> 0, count);
  }

  memsetD8Async(dst: DevicePtr, value: number, bytes: number, stream: Stream): void {
    this.#call("cuMemsetD8Async", dst, value & 0xff, bytes, stream);
  }

  memsetD32Async(dst: DevicePtr, value: number, count: number, stream: Stream): void {
    this.#call("cuMemsetD32Async", dst, value >>> 0, count, stream);
  }

  streamCreate(options: { readonly priority?: number } = {}): Stream {
    return this.#create("cuStreamCreateWithPriority", STREAM_NON_BLOCKING, options.priority ?? 0);
  }

  streamDestroy(stream: Stream): void {
    this.#call("cuStreamDestroy_v2", stream);
  }

  streamQuery(stream: Stream): boolean {
    return this.#ready("cuStreamQuery", stream);
  }

  streamSynchronize(stream: Stream): void {
    this.#call("cuStreamSynchronize", stream);
  }

  streamWaitEvent(stream: Stream, event: CudaEvent): void {
    this.#call("cuStreamWaitEvent", stream, event, 0);
  }

  eventCreate(options: { readonly timing?: boolean } = {}): CudaEvent {
    return this.#create("cuEventCreate", options.timing === true ? 0 : EVENT_DISABLE_TIMING);
  }

  eventDestroy(event: CudaEvent): void {
    this.#call("cuEventDestroy_v2", event);
  }

  eventRecord(event: CudaEvent, stream: Stream): void {
    this.#call("cuEventRecord", event, stream);
  }

  eventQuery(event: CudaEvent): boolean {
    return this.#ready("cuEventQuery", event);
  }

  eventSynchronize(event: CudaEvent): void {
    this.#call("cuEventSynchronize", event);
  }

  eventElapsed(start: CudaEvent, end: CudaEvent): number {
    this.#call("cuEventElapsedTime", this.#outFloat, start, end);
    return this.#outFloat[0] ?? 0;
  }

  moduleLoadData(image: Uint8Array): CudaModule {
    // The driver finds the end of PTX text by its NUL; cubins carry their length.
    const terminated = new Uint8Array(image.length + 1);
    terminated.set(image);
    return this.#create("cuModuleLoadData", terminated);
  }

  moduleUnload(module: CudaModule): void {
    this.#call("cuModuleUnload", module);
  }

  moduleGetFunction(module: CudaModule, name: string): CudaFunction {
    const result = this.#function("cuModuleGetFunction")(this.#out64, module, name);
    if (result !== 0) throw new CudaError(result, "cuModuleGetFunction", name);
    return this.#handle();
  }

  moduleGetGlobal(module: CudaModule, name: string): { ptr: DevicePtr; bytes: number } {
    const bytes = new BigUint64Array(1);
    const result = this.#function("cuModuleGetGlobal_v2")(this.#out64, bytes, module, name);
    if (result !== 0) throw new CudaError(result, "cuModuleGetGlobal", name);
    return { ptr: this.#handle(), bytes: Number(bytes[0]) };
  }

  functionAttribute(fn: CudaFunction, attribute: keyof typeof FUNCTION_ATTRIBUTES): number {
    this.#call("cuFuncGetAttribute", this.#out32, FUNCTION_ATTRIBUTES[attribute], fn);
    return this.#out32[0] ?? 0;
  }

  functionSetAttribute(
    fn: CudaFunction,
    attribute: Parameters<CudaDriver["functionSetAttribute"]>[1],
    value: number,
  ): void {
    this.#call("cuFuncSetAttribute", fn, FUNCTION_ATTRIBUTES[attribute], value);
  }

  functionParams(fn: CudaFunction): readonly ParamLayout[] {
    const call = this.#optional.get("cuFuncGetParamInfo");
    if (call === undefined) {
      throw cudaError("CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", "cuFuncGetParamInfo");
    }
    const size = new BigUint64Array(1);
    const params: ParamLayout[] = [];
    for (;;) {
      const result = call(fn, params.length, this.#out64, size);
      // An index past the last parameter is how the list ends.
      if (result === CUDA_RESULTS.CUDA_ERROR_INVALID_VALUE) return params;
      if (result !== 0) throw new CudaError(result, "cuFuncGetParamInfo");
      params.push({ offset: Number(this.#out64[0]), size: Number(size[0]) });
    }
  }

  launch(kernel: KernelLaunch, stream: Stream): void {
    checkArguments(kernel);
    const config = writeLaunchConfig(this.#scratch, kernel, stream);
    const params = writeArguments(this.#scratch, kernel.args);
    const result = this.#launch(config, kernel.function, params, 0);
    if (result !== 0) throw new CudaError(result, "cuLaunchKernelEx", launchShape(kernel));
  }

  streamBeginCapture(stream: Stream): void {
    this.#call("cuStreamBeginCapture_v2", stream, CAPTURE_MODE_THREAD_LOCAL);
  }

  streamBeginCaptureToGraph(
    stream: Stream,
    graph: Graph,
    dependencies: readonly GraphNode[],
  ): void {
    this.#callOptional(
      "cuStreamBeginCaptureToGraph",
      stream,
      graph,
      handleArray(dependencies),
      null,
      dependencies.length,
      CAPTURE_MODE_THREAD_LOCAL,
    );
  }

  streamEndCapture(stream: Stream): Graph {
    this.#call("cuStreamEndCapture", stream, this.#out64);
    return this.#handle();
  }

  graphCreate(): Graph {
    return this.#create("cuGraphCreate", 0);
  }

  graphDestroy(graph: Graph): void {
    this.#call("cuGraphDestroy", graph);
  }

  graphNodes(graph: Graph): readonly GraphNode[] {
    this.#call("cuGraphGetNodes", graph, null, this.#out64);
    const count = Number(this.#out64[0]);
    if (count === 0) return [];
    const nodes = new BigUint64Array(count);
    this.#call("cuGraphGetNodes", graph, nodes, this.#out64);
    return Array.from(nodes, (node) => Number(node) as GraphNode);
  }

  graphAddKernelNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    kernel: KernelLaunch,
  ): GraphNode {
    checkArguments(kernel);
    if (kernel.programmatic === true) {
      throw cudaError(
        "CUDA_ERROR_NOT_SUPPORTED",
        "cuGraphAddKernelNode",
        "a programmatic dependency of a node; capture the launch instead",
      );
    }
    const node = this.#create<GraphNode>(
      "cuGraphAddKernelNode_v2",
      graph,
      handleArray(dependencies),
      dependencies.length,
      writeKernelNodeParams(this.#scratch, kernel),
    );
    for (const { id, address } of writeNodeAttributes(this.#scratch, kernel)) {
      this.#call("cuGraphKernelNodeSetAttribute", node, id, address);
    }
    return node;
  }

  graphConditionalCreate(graph: Graph, defaultValue?: number): ConditionalHandle {
    this.#callOptional(
      "cuGraphConditionalHandleCreate",
      this.#out64,
      graph,
      this.#currentContext(),
      defaultValue ?? 0,
      defaultValue === undefined ? 0 : CONDITIONAL_ASSIGN_DEFAULT,
    );
    return (this.#out64[0] ?? 0n) as ConditionalHandle;
  }

  graphAddConditionalNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    conditional: Parameters<CudaDriver["graphAddConditionalNode"]>[2],
  ): { readonly node: GraphNode; readonly bodies: readonly Graph[] } {
    const context = this.#currentContext();
    this.#callOptional(
      "cuGraphAddNode_v2",
      this.#out64,
      graph,
      handleArray(dependencies),
      null,
      dependencies.length,
      writeConditionalNodeParams(this.#scratch, conditional, context),
    );
    const node = this.#handle<GraphNode>();
    const array = koffi.view(readConditionalBodies(this.#scratch), conditional.bodies * 8);
    return {
      node,
      bodies: Array.from(new BigUint64Array(array), (body) => Number(body) as Graph),
    };
  }

  #currentContext(): number {
    this.#call("cuCtxGetCurrent", this.#out64);
    return this.#handle();
  }

  graphInstantiate(graph: Graph): GraphExec {
    return this.#create("cuGraphInstantiateWithFlags", graph, 0);
  }

  graphExecDestroy(exec: GraphExec): void {
    this.#call("cuGraphExecDestroy", exec);
  }

  graphExecUpdate(exec: GraphExec, graph: Graph): void {
    // CUgraphExecUpdateResultInfo: the result and two nodes.
    this.#call("cuGraphExecUpdate_v2", exec, graph, new Uint8Array(24));
  }

  graphExecKernelNodeSetParams(exec: GraphExec, node: GraphNode, kernel: KernelLaunch): void {
    checkArguments(kernel);
    const params = writeKernelNodeParams(this.#scratch, kernel);
    this.#call("cuGraphExecKernelNodeSetParams_v2", exec, node, params);
  }

  graphLaunch(exec: GraphExec, stream: Stream): void {
    const result = this.#graphLaunch(exec, stream);
    if (result !== 0) throw new CudaError(result, "cuGraphLaunch");
  }
}

/** `cuMemAlloc_v2` is an export of the library; the function of the manual is `cuMemAlloc`. */
const publicName = (symbol: string): string => symbol.replace(/_v\d+$/, "");

const gib = (bytes: number): string =>
  bytes >= 2 ** 28 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${bytes} bytes`;

function handleArray(handles: readonly number[]): BigUint64Array | null {
  return handles.length === 0 ? null : BigUint64Array.from(handles, (handle) => BigInt(handle));
}

const asBytes = (view: ArrayBufferView): Uint8Array =>
  view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function pinned(memory: HostMemory): PinnedMemory {
  invariant(memory instanceof PinnedMemory, "host memory comes from this driver");
  return memory;
}

function checkArguments(kernel: KernelLaunch): void {
  if (kernel.args.bytes.length <= MAX_ARGUMENT_BYTES) return;
  throw cudaError(
    "CUDA_ERROR_INVALID_VALUE",
    "launch",
    `${kernel.args.bytes.length} bytes of arguments, ${MAX_ARGUMENT_BYTES} is the most`,
  );
}

function launchShape({ grid, block, sharedBytes }: KernelLaunch): string {
  return `grid ${grid.x}x${grid.y}x${grid.z}, block ${block.x}x${block.y}x${block.z}, ${sharedBytes ?? 0} bytes of dynamic shared memory`;
}
