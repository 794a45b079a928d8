/** `CudaDriver` over the entry points of the real library, however they were bound. */
import type { TensorMap } from "../../src/ir/program.ts";
import { invariant } from "../../src/util/errors.ts";
import { DEVICE_ATTRIBUTES, FUNCTION_ATTRIBUTES } from "./attributes.ts";
import { CUDA_RESULTS, CudaError, cudaError } from "./check.ts";
import type {
  NativeArgument,
  NativeCall,
  OptionalEntryPoint,
  RequiredEntryPoint,
} from "./cuda-entry-points.ts";
import {
  MAX_ARGUMENT_BYTES,
  type NativeMemory,
  readConditionalBodies,
  readTensorMap,
  tensorMapParams,
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
import { NULL_STREAM } from "./driver.ts";
import { checkRange, PinnedMemory, pinned, type ViewMemory } from "./pinned-memory.ts";

const STREAM_NON_BLOCKING = 1;
const EVENT_DISABLE_TIMING = 2;
const HOST_ALLOC_PORTABLE_MAPPED = 3;
const HOST_ALLOC_WRITE_COMBINED = 4;
const CAPTURE_MODE_THREAD_LOCAL = 1;
const CONDITIONAL_ASSIGN_DEFAULT = 1;

/** The driver library as the FFI hands it over. */
export interface NativeLibrary {
  /** All of `REQUIRED_ENTRY_POINTS`. */
  readonly required: ReadonlyMap<RequiredEntryPoint, NativeCall>;
  /** Those of `OPTIONAL_ENTRY_POINTS` this driver has. */
  readonly optional: ReadonlyMap<OptionalEntryPoint, NativeCall>;
  /** `SCRATCH_BYTES` of memory. */
  readonly scratch: NativeMemory;
  readonly viewMemory: ViewMemory;
  /** Frees the scratch memory. */
  close(): void;
}

export class CudaLibraryDriver implements CudaDriver {
  readonly kind = "cuda";
  readonly #library: NativeLibrary;
  // Memory that does not move: the driver reads launch structures through addresses inside it.
  readonly #scratch: NativeMemory;
  // Reused for every out-parameter; the driver is called from one thread and never re-entered.
  readonly #out64 = new BigUint64Array(1);
  readonly #out32 = new Int32Array(1);
  readonly #outFloat = new Float32Array(1);
  readonly #launch: NativeCall;
  readonly #graphLaunch: NativeCall;

  constructor(library: NativeLibrary) {
    this.#library = library;
    this.#scratch = library.scratch;
    this.#launch = this.#function("cuLaunchKernelEx");
    this.#graphLaunch = this.#function("cuGraphLaunch");
  }

  #function(name: RequiredEntryPoint): NativeCall {
    const call = this.#library.required.get(name);
    invariant(call !== undefined, `${name} is bound`);
    return call;
  }

  #call(name: RequiredEntryPoint, ...args: NativeArgument[]): void {
    const result = this.#function(name)(...args);
    if (result !== 0) throw new CudaError(result, publicName(name));
  }

  #callOptional(name: OptionalEntryPoint, ...args: NativeArgument[]): void {
    const call = this.#library.optional.get(name);
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
          this.#library.optional.has("cuGraphConditionalHandleCreate") &&
          this.#library.optional.has("cuGraphAddNode_v2")
        );
      case "capture-to-graph":
        return this.#library.optional.has("cuStreamBeginCaptureToGraph");
      case "param-layout":
        return this.#library.optional.has("cuFuncGetParamInfo");
      case "tensor-maps":
        return this.#library.optional.has("cuTensorMapEncodeTiled");
      case "clusters":
        return true; // Since the first driver this binding takes.
      default:
        return feature satisfies never;
    }
  }

  close(): void {
    this.#library.close();
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
    return new PinnedMemory(address, bytes, devicePtr, this.#library.viewMemory);
  }

  memFreeHost(memory: HostMemory): void {
    this.#call("cuMemFreeHost", pinned(memory).address);
  }

  memcpyHtoD(dst: DevicePtr, src: ArrayBufferView): void {
    this.#call("cuMemcpyHtoD_v2", dst, asBytes(src), src.byteLength);
    this.#settle();
  }

  memcpyDtoH(dst: ArrayBufferView, src: DevicePtr): void {
    this.#call("cuMemcpyDtoH_v2", asBytes(dst), src, dst.byteLength);
  }

  memcpyDtoD(dst: DevicePtr, src: DevicePtr, bytes: number): void {
    this.#call("cuMemcpyDtoD_v2", dst, src, bytes);
    this.#settle();
  }

  /**
   * The synchronous calls return when pageable memory has been read, or at once where no host memory
   * takes part ("API synchronization behavior" of the manual), and our streams do not wait for the
   * default stream: without this a kernel could overtake them.
   */
  #settle(): void {
    this.#call("cuStreamSynchronize", NULL_STREAM);
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
    this.#settle();
  }

  memsetD32(dst: DevicePtr, value: number, count: number): void {
    this.#call("cuMemsetD32_v2", dst, value >>> 0, count);
    this.#settle();
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
    const call = this.#library.optional.get("cuFuncGetParamInfo");
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

  tensorMapEncode(address: DevicePtr, map: TensorMap): Uint8Array<ArrayBuffer> {
    const call = this.#library.optional.get("cuTensorMapEncodeTiled");
    if (call === undefined)
      throw cudaError("CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", "cuTensorMapEncodeTiled");
    const p = tensorMapParams(this.#scratch, map);
    const result = call(
      p.map,
      p.type,
      p.rank,
      address,
      p.dimensions,
      p.strides,
      p.box,
      p.steps,
      p.interleave,
      p.swizzle,
      p.promotion,
      p.fill,
    );
    if (result !== 0) throw new CudaError(result, "cuTensorMapEncodeTiled", mapShape(address, map));
    return readTensorMap(this.#scratch);
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
    const array = this.#library.viewMemory(
      readConditionalBodies(this.#scratch),
      conditional.bodies * 8,
    );
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

function checkArguments(kernel: KernelLaunch): void {
  if (kernel.args.bytes.length <= MAX_ARGUMENT_BYTES) return;
  throw cudaError(
    "CUDA_ERROR_INVALID_VALUE",
    "launch",
    `${kernel.args.bytes.length} bytes of arguments, ${MAX_ARGUMENT_BYTES} is the most`,
  );
}

/** For errors: the matrix a tensor map was asked for. */
export function mapShape(address: DevicePtr, { dtype, rows, columns, boxRows }: TensorMap): string {
  return `boxes [${boxRows}, 64] of ${dtype} [${rows}, ${columns}] at 0x${address.toString(16)}`;
}

function launchShape({ grid, block, sharedBytes }: KernelLaunch): string {
  return `grid ${grid.x}x${grid.y}x${grid.z}, block ${block.x}x${block.y}x${block.z}, ${sharedBytes ?? 0} bytes of dynamic shared memory`;
}
