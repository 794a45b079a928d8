/** `CudaDriver` on the emulated device. */
import type { TensorMap } from "../../src/ir/program.ts";
import { cudaError } from "../driver/check.ts";
import type {
  DeviceAttribute,
  FunctionAttribute,
  SettableFunctionAttribute,
} from "../driver/attributes.ts";
import type {
  ConditionalHandle,
  Context,
  CudaEvent,
  CudaFunction,
  CudaModule,
  Device,
  DevicePtr,
  DriverFeature,
  Graph,
  GraphExec,
  GraphNode,
  HostMemory,
  KernelLaunch,
  ParamLayout,
  Stream,
} from "../driver/driver.ts";
import type {
  EmulatorOptions,
  Finding,
  InstrumentedDriver,
  KernelCounters,
} from "../driver/instrumented-driver.ts";
import { deviceAttribute } from "./driver/attributes.ts";
import { EmulatedDevice, SHARED_LIMIT, STATIC_SHARED_LIMIT } from "./driver/device.ts";
import type { Allocation } from "./driver/device-memory.ts";
import {
  type ExecData,
  type GraphData,
  instantiate,
  type NodeData,
  updateExec,
} from "./driver/graph.ts";
import { launchGraph } from "./driver/graph-launch.ts";
import { Handles } from "./driver/handles.ts";
import type { FunctionData, ModuleData } from "./driver/loaded-module.ts";
import { PinnedMemory } from "./driver/pinned-memory.ts";
import { hostFinding } from "./execute/findings.ts";
import { type EventData, type StreamData, Streams } from "./driver/streams.ts";
import { encodeTensorMap } from "./driver/tensor-map.ts";

/** CUDA version the emulated driver says it is: new enough for conditional nodes. */
const DRIVER_VERSION = 13000;

/** An emulated device with a driver of its own: nothing is shared between two of them. */
export function openEmulatedDriver(options: EmulatorOptions = {}): InstrumentedDriver {
  return new EmulatedDriver(options);
}

class EmulatedDriver implements InstrumentedDriver {
  readonly kind = "emulator";
  readonly #options: EmulatorOptions;
  readonly #handles = new Handles();
  #made: { readonly device: EmulatedDevice; readonly streams: Streams } | undefined;
  #context: { readonly handle: number } | undefined;
  #isCurrent = false;
  #conditions = 0n;
  readonly #defaults = new Map<number, Map<bigint, number>>();

  constructor(options: EmulatorOptions) {
    this.#options = options;
  }

  get #device(): EmulatedDevice {
    if (this.#made === undefined) throw cudaError("CUDA_ERROR_NOT_INITIALIZED", "cuInit");
    return this.#made.device;
  }

  get #streams(): Streams {
    if (this.#made === undefined) throw cudaError("CUDA_ERROR_NOT_INITIALIZED", "cuInit");
    return this.#made.streams;
  }

  /** The device, for calls that need a context and find none lost. */
  #ready(call: string): EmulatedDevice {
    const device = this.#device;
    if (!this.#isCurrent) throw cudaError("CUDA_ERROR_INVALID_CONTEXT", call);
    device.checkAlive();
    return device;
  }

  init(): void {
    if (this.#made !== undefined) return;
    const device = new EmulatedDevice(this.#options);
    this.#made = { device, streams: new Streams(device, this.#handles) };
  }

  driverVersion(): number {
    return DRIVER_VERSION;
  }

  supports(feature: DriverFeature): boolean {
    switch (feature) {
      case "clusters":
      case "tensor-maps":
        return (this.#options.computeCapability ?? "8.0") === "9.0";
      case "conditional-nodes":
      case "capture-to-graph":
      case "param-layout":
        return true;
      default:
        return feature satisfies never;
    }
  }

  close(): void {
    const made = this.#made;
    if (made === undefined) return;
    const { device, streams } = made;
    try {
      streams.synchronizeAll();
    } catch {
      // A fault has been reported where it happened.
    }
    for (const { kind, bytes, number } of device.memory.live()) {
      // A lost context takes no frees, so nobody could have given anything back.
      if (kind === "variable" || device.sanitizer === undefined || device.isLost) continue;
      device.findings.add(
        hostFinding(
          "leak",
          `allocation ${number} of ${bytes} bytes of ${kind} memory was never freed`,
        ),
      );
    }
    this.#isCurrent = false;
  }

  findings(): readonly Finding[] {
    return this.#made?.device.findings.list() ?? [];
  }

  counters(): KernelCounters {
    return this.#device.totals();
  }

  deviceCount(): number {
    return 1;
  }

  deviceGet(ordinal: number): Device {
    if (ordinal !== 0)
      throw cudaError("CUDA_ERROR_INVALID_DEVICE", "cuDeviceGet", `device ${ordinal}`);
    return 0 as Device;
  }

  deviceName(): string {
    return `PTX emulator (compute capability ${this.#device.capability})`;
  }

  deviceAttribute(_device: Device, attribute: DeviceAttribute): number {
    return deviceAttribute(this.#device.capability, attribute);
  }

  deviceTotalMemory(): number {
    return this.#device.memory.total;
  }

  primaryContextRetain(): Context {
    this.#context ??= this.#handles.add("context", (handle) => ({ handle }));
    return this.#context.handle as Context;
  }

  primaryContextRelease(): void {
    this.#isCurrent = false;
  }

  contextSetCurrent(context: Context): void {
    this.#handles.get("context", context, "cuCtxSetCurrent");
    this.#isCurrent = true;
  }

  contextSynchronize(): void {
    this.#ready("cuCtxSynchronize");
    this.#streams.synchronizeAll();
  }

  memoryInfo(): { readonly free: number; readonly total: number } {
    const { free, total } = this.#ready("cuMemGetInfo").memory;
    return { free, total };
  }

  memAlloc(bytes: number): DevicePtr {
    const device = this.#ready("cuMemAlloc");
    return device.pointer(device.allocate(bytes, "device", "cuMemAlloc"));
  }

  memFree(ptr: DevicePtr): void {
    const device = this.#ready("cuMemFree");
    this.#free(device, device.memory.byPointer(ptr), "cuMemFree", ptr);
  }

  /** Freeing waits for the device, as the real one does. */
  #free(
    device: EmulatedDevice,
    allocation: Allocation | undefined,
    call: string,
    ptr: number,
  ): void {
    this.#streams.synchronizeAll();
    if (allocation !== undefined && !allocation.freed) {
      device.memory.release(allocation);
      return;
    }
    const at = `0x${ptr.toString(16)}`;
    if (allocation !== undefined) {
      device.findings.add(
        hostFinding(
          "double-free",
          `${call}: allocation ${allocation.number} of ${allocation.bytes} bytes at ${at} was freed before`,
        ),
      );
    }
    throw cudaError("CUDA_ERROR_INVALID_VALUE", call, `no allocation begins at ${at}`);
  }

  memAllocHost(bytes: number): HostMemory {
    const device = this.#ready("cuMemHostAlloc");
    const allocation = device.allocate(bytes, "host", "cuMemHostAlloc");
    device.sanitizer?.hostWrote(allocation.base, bytes, undefined);
    return new PinnedMemory(allocation, device.pointer(allocation), device.machine.buffer);
  }

  memFreeHost(memory: HostMemory): void {
    const device = this.#ready("cuMemFreeHost");
    const allocation = memory instanceof PinnedMemory ? memory.allocation : undefined;
    this.#free(device, allocation, "cuMemFreeHost", memory.devicePtr);
  }

  #hostRange(memory: HostMemory, offset: number, bytes: number, call: string): number {
    return this.#device.range((memory.devicePtr + offset) as DevicePtr, bytes, call);
  }

  memcpyHtoD(dst: DevicePtr, src: ArrayBufferView): void {
    const device = this.#ready("cuMemcpyHtoD");
    const bytes = new Uint8Array(src.buffer, src.byteOffset, src.byteLength);
    const to = device.range(dst, bytes.length, "cuMemcpyHtoD");
    this.#streams.now("copy to device", () => {
      device.sanitizer?.hostWrote(to, bytes.length, "copy to device");
      device.machine.u8.set(bytes, to);
    });
  }

  memcpyDtoH(dst: ArrayBufferView, src: DevicePtr): void {
    const device = this.#ready("cuMemcpyDtoH");
    const bytes = new Uint8Array(dst.buffer, dst.byteOffset, dst.byteLength);
    const from = device.range(src, bytes.length, "cuMemcpyDtoH");
    this.#streams.now("copy to host", () => {
      device.sanitizer?.hostRead(from, bytes.length);
      bytes.set(device.machine.u8.subarray(from, from + bytes.length));
    });
  }

  memcpyDtoD(dst: DevicePtr, src: DevicePtr, bytes: number): void {
    this.#ready("cuMemcpyDtoD");
    this.#streams.now("copy on device", this.#copy(dst, src, bytes, "cuMemcpyDtoD"));
  }

  #copy(dst: DevicePtr, src: DevicePtr, bytes: number, call: string): () => void {
    const device = this.#device;
    const from = device.range(src, bytes, call);
    const to = device.range(dst, bytes, call);
    return () => {
      device.sanitizer?.copied(from, to, bytes);
      device.machine.u8.copyWithin(to, from, from + bytes);
    };
  }

  memcpyHtoDAsync(
    dst: DevicePtr,
    src: HostMemory,
    srcOffset: number,
    bytes: number,
    stream: Stream,
  ): void {
    const call = "cuMemcpyHtoDAsync";
    this.#ready(call);
    this.#hostRange(src, srcOffset, bytes, call);
    const from = (src.devicePtr + srcOffset) as DevicePtr;
    this.#submit(stream, call, "copy to device", this.#copy(dst, from, bytes, call));
  }

  memcpyDtoHAsync(
    dst: HostMemory,
    dstOffset: number,
    src: DevicePtr,
    bytes: number,
    stream: Stream,
  ): void {
    const call = "cuMemcpyDtoHAsync";
    this.#ready(call);
    this.#hostRange(dst, dstOffset, bytes, call);
    const to = (dst.devicePtr + dstOffset) as DevicePtr;
    this.#submit(stream, call, "copy to host", this.#copy(to, src, bytes, call));
  }

  memcpyDtoDAsync(dst: DevicePtr, src: DevicePtr, bytes: number, stream: Stream): void {
    const call = "cuMemcpyDtoDAsync";
    this.#ready(call);
    this.#submit(stream, call, "copy on device", this.#copy(dst, src, bytes, call));
  }

  #submit(stream: Stream, call: string, label: string, run: () => void): void {
    this.#streams.submit(this.#streams.get(stream, call), { kind: "other", label, run });
  }

  #fill(dst: DevicePtr, bytes: number, call: string, fill: (from: number, to: number) => void) {
    const device = this.#ready(call);
    const at = device.range(dst, bytes, call);
    return () => {
      device.sanitizer?.hostWrote(at, bytes, "memset");
      fill(at, at + bytes);
    };
  }

  #fill8(dst: DevicePtr, value: number, bytes: number, call: string): () => void {
    return this.#fill(dst, bytes, call, (from, to) =>
      this.#device.machine.u8.fill(value & 0xff, from, to),
    );
  }

  #fill32(dst: DevicePtr, value: number, count: number, call: string): () => void {
    if (dst % 4 !== 0) throw cudaError("CUDA_ERROR_INVALID_VALUE", call, "not 4-byte aligned");
    return this.#fill(dst, 4 * count, call, (from, to) =>
      this.#device.machine.i32.fill(value | 0, from >> 2, to >> 2),
    );
  }

  memsetD8(dst: DevicePtr, value: number, bytes: number): void {
    this.#streams.now("memset", this.#fill8(dst, value, bytes, "cuMemsetD8"));
  }

  memsetD32(dst: DevicePtr, value: number, count: number): void {
    this.#streams.now("memset", this.#fill32(dst, value, count, "cuMemsetD32"));
  }

  memsetD8Async(dst: DevicePtr, value: number, bytes: number, stream: Stream): void {
    const call = "cuMemsetD8Async";
    this.#submit(stream, call, "memset", this.#fill8(dst, value, bytes, call));
  }

  memsetD32Async(dst: DevicePtr, value: number, count: number, stream: Stream): void {
    const call = "cuMemsetD32Async";
    this.#submit(stream, call, "memset", this.#fill32(dst, value, count, call));
  }

  streamCreate(): Stream {
    this.#ready("cuStreamCreate");
    const stream = this.#handles.add("stream", (handle) => ({
      handle,
      last: undefined,
      capture: undefined,
      tips: [],
    }));
    return stream.handle as Stream;
  }

  streamDestroy(stream: Stream): void {
    const data = this.#handles.take<StreamData>("stream", stream, "cuStreamDestroy");
    // Destroying does not wait; its work is done before the default stream goes on at the latest.
    if (data.last !== undefined) this.#streams.queue.execute(data.last);
  }

  streamQuery(stream: Stream): boolean {
    this.#ready("cuStreamQuery");
    return this.#streams.poll(this.#streams.get(stream, "cuStreamQuery").last);
  }

  streamSynchronize(stream: Stream): void {
    this.#ready("cuStreamSynchronize");
    const call = "cuStreamSynchronize";
    this.#streams.synchronize(this.#streams.get(stream, call), call);
  }

  #event(event: CudaEvent, call: string): EventData {
    this.#ready(call);
    return this.#handles.get<EventData>("event", event, call);
  }

  streamWaitEvent(stream: Stream, event: CudaEvent): void {
    const call = "cuStreamWaitEvent";
    this.#streams.wait(this.#streams.get(stream, call), this.#event(event, call));
  }

  eventCreate(options: { readonly timing?: boolean } = {}): CudaEvent {
    this.#ready("cuEventCreate");
    const event = this.#handles.add("event", (handle) => ({
      handle,
      timing: options.timing ?? false,
      recorded: undefined,
      captured: undefined,
      time: 0,
    }));
    return event.handle as CudaEvent;
  }

  eventDestroy(event: CudaEvent): void {
    this.#handles.take<EventData>("event", event, "cuEventDestroy");
  }

  eventRecord(event: CudaEvent, stream: Stream): void {
    const call = "cuEventRecord";
    this.#streams.record(this.#event(event, call), this.#streams.get(stream, call));
  }

  eventQuery(event: CudaEvent): boolean {
    return this.#streams.poll(this.#event(event, "cuEventQuery").recorded);
  }

  eventSynchronize(event: CudaEvent): void {
    const { recorded } = this.#event(event, "cuEventSynchronize");
    if (recorded !== undefined) this.#streams.queue.settle(recorded);
  }

  /** Of this machine's clock: a figure to look at, not one to compare. */
  eventElapsed(start: CudaEvent, end: CudaEvent): number {
    const [from, to] = [start, end].map((one) => this.#event(one, "cuEventElapsedTime"));
    if (from?.recorded === undefined || to?.recorded === undefined || !from.timing || !to.timing) {
      throw cudaError("CUDA_ERROR_INVALID_HANDLE", "cuEventElapsedTime", "an event without a time");
    }
    if (!from.recorded.done || !to.recorded.done) {
      throw cudaError("CUDA_ERROR_NOT_READY", "cuEventElapsedTime");
    }
    return to.time - from.time;
  }

  moduleLoadData(image: Uint8Array): CudaModule {
    const device = this.#ready("cuModuleLoadData");
    const module = this.#handles.add("module", (handle) => device.loadModule(image, handle));
    return module.handle as CudaModule;
  }

  moduleUnload(module: CudaModule): void {
    const device = this.#ready("cuModuleUnload");
    this.#streams.synchronizeAll();
    device.unloadModule(this.#handles.take<ModuleData>("module", module, "cuModuleUnload"));
  }

  moduleGetFunction(module: CudaModule, name: string): CudaFunction {
    this.#ready("cuModuleGetFunction");
    const data = this.#handles.get<ModuleData>("module", module, "cuModuleGetFunction");
    const known = data.functions.get(name);
    if (known !== undefined) return known.handle as CudaFunction;
    const entry = data.ptx.functions.get(name);
    if (entry?.entry !== true) {
      throw cudaError("CUDA_ERROR_NOT_FOUND", "cuModuleGetFunction", `kernel ${name}`);
    }
    const fn = this.#handles.add<FunctionData>("function", (handle) => ({
      handle,
      module: data,
      entry,
      params: entry.params.map(({ offset, size }) => ({ offset, size })),
      maxDynamicShared: STATIC_SHARED_LIMIT,
      carveout: -1,
      nonPortableCluster: 0,
      kernel: undefined,
    }));
    data.functions.set(name, fn);
    return fn.handle as CudaFunction;
  }

  moduleGetGlobal(module: CudaModule, name: string): { ptr: DevicePtr; bytes: number } {
    const device = this.#ready("cuModuleGetGlobal");
    const data = this.#handles.get<ModuleData>("module", module, "cuModuleGetGlobal");
    const found = data.variables.get(name);
    if (found === undefined) {
      throw cudaError("CUDA_ERROR_NOT_FOUND", "cuModuleGetGlobal", `variable ${name}`);
    }
    return { ptr: device.pointer(found), bytes: found.bytes };
  }

  #function(fn: CudaFunction, call: string): FunctionData {
    this.#ready(call);
    return this.#handles.get<FunctionData>("function", fn, call);
  }

  functionAttribute(fn: CudaFunction, attribute: FunctionAttribute): number {
    const data = this.#function(fn, "cuFuncGetAttribute");
    const { context } = this.#device.kernelOf(data);
    const capability = this.#device.capability === "9.0" ? 90 : 80;
    switch (attribute) {
      case "maxThreadsPerBlock":
        return data.entry.maxThreads ?? 1024;
      case "sharedSize":
        return context.staticShared;
      case "constSize":
        return [...data.module.ptx.variables.values()]
          .filter(({ space }) => space === "const")
          .reduce((sum, { size }) => sum + size, 0);
      case "localSize":
        return context.localBytes;
      case "numRegisters":
        // Virtual registers are not what a compiler would allocate; a device has 255 at most.
        return Math.min(255, context.fn.registers.length);
      case "ptxVersion":
      case "binaryVersion":
        return capability;
      case "maxDynamicSharedSize":
        return data.maxDynamicShared;
      case "preferredSharedMemoryCarveout":
        return data.carveout;
      case "nonPortableClusterSizeAllowed":
        return data.nonPortableCluster;
      default:
        return attribute satisfies never;
    }
  }

  functionSetAttribute(
    fn: CudaFunction,
    attribute: SettableFunctionAttribute,
    value: number,
  ): void {
    const call = "cuFuncSetAttribute";
    const data = this.#function(fn, call);
    switch (attribute) {
      case "maxDynamicSharedSize": {
        const most = SHARED_LIMIT[this.#device.capability];
        if (value < 0 || value > most) {
          throw cudaError("CUDA_ERROR_INVALID_VALUE", call, `${value} bytes, ${most} are the most`);
        }
        data.maxDynamicShared = value;
        return;
      }
      case "preferredSharedMemoryCarveout":
        data.carveout = value;
        return;
      case "nonPortableClusterSizeAllowed":
        data.nonPortableCluster = value;
        return;
      default:
        attribute satisfies never;
    }
  }

  functionParams(fn: CudaFunction): readonly ParamLayout[] {
    return this.#function(fn, "cuFuncGetParamInfo").params;
  }

  /** Arguments are the caller's to change once the launch is queued, so they are copied. */
  #checkedLaunch(kernel: KernelLaunch): KernelLaunch {
    const fn = this.#function(kernel.function, "cuLaunchKernel");
    this.#device.validate(fn, kernel);
    return { ...kernel, args: { ...kernel.args, bytes: kernel.args.bytes.slice() } };
  }

  tensorMapEncode(address: DevicePtr, map: TensorMap): Uint8Array<ArrayBuffer> {
    this.#ready("cuTensorMapEncodeTiled");
    if (!this.supports("tensor-maps")) {
      const why = "tensor maps need compute capability 9.0";
      throw cudaError("CUDA_ERROR_NOT_SUPPORTED", "cuTensorMapEncodeTiled", why);
    }
    return encodeTensorMap(address, map);
  }

  launch(kernel: KernelLaunch, stream: Stream): void {
    const launch = this.#checkedLaunch(kernel);
    this.#streams.submit(this.#streams.get(stream, "cuLaunchKernel"), { kind: "kernel", launch });
  }

  streamBeginCapture(stream: Stream): void {
    const graph = this.#newGraph();
    this.#streams.beginCapture(this.#streams.get(stream, "cuStreamBeginCapture"), graph, []);
  }

  streamBeginCaptureToGraph(
    stream: Stream,
    graph: Graph,
    dependencies: readonly GraphNode[],
  ): void {
    const call = "cuStreamBeginCaptureToGraph";
    const data = this.#graph(graph, call);
    const tips = dependencies.map((node) => this.#node(node, call));
    this.#streams.beginCapture(this.#streams.get(stream, call), data, tips);
  }

  streamEndCapture(stream: Stream): Graph {
    const call = "cuStreamEndCapture";
    this.#ready(call);
    return this.#streams.endCapture(this.#streams.get(stream, call)).handle as Graph;
  }

  #newGraph(): GraphData {
    this.#ready("cuGraphCreate");
    return this.#handles.add("graph", (handle) => ({ handle, nodes: [] }));
  }

  #graph(graph: Graph, call: string): GraphData {
    this.#ready(call);
    return this.#handles.get<GraphData>("graph", graph, call);
  }

  #node(node: GraphNode, call: string): NodeData {
    return this.#handles.get<NodeData>("graph node", node, call);
  }

  graphCreate(): Graph {
    return this.#newGraph().handle as Graph;
  }

  graphDestroy(graph: Graph): void {
    this.#handles.take<GraphData>("graph", graph, "cuGraphDestroy");
  }

  graphNodes(graph: Graph): readonly GraphNode[] {
    return this.#graph(graph, "cuGraphGetNodes").nodes.map((node) => node.handle as GraphNode);
  }

  graphAddKernelNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    kernel: KernelLaunch,
  ): GraphNode {
    const call = "cuGraphAddKernelNode";
    const data = this.#graph(graph, call);
    const before = dependencies.map((node) => this.#node(node, call));
    const launch = this.#checkedLaunch(kernel);
    return this.#streams.addNode(data, before, { kind: "kernel", launch }).handle as GraphNode;
  }

  graphConditionalCreate(graph: Graph, defaultValue?: number): ConditionalHandle {
    this.#graph(graph, "cuGraphConditionalHandleCreate");
    const handle = ++this.#conditions;
    if (defaultValue !== undefined) {
      const defaults = this.#defaults.get(graph) ?? new Map<bigint, number>();
      defaults.set(handle, defaultValue);
      this.#defaults.set(graph, defaults);
    }
    return handle as ConditionalHandle;
  }

  graphAddConditionalNode(
    graph: Graph,
    dependencies: readonly GraphNode[],
    { kind, handle, bodies: count }: Parameters<InstrumentedDriver["graphAddConditionalNode"]>[2],
  ): { readonly node: GraphNode; readonly bodies: readonly Graph[] } {
    const call = "cuGraphAddNode";
    const data = this.#graph(graph, call);
    const before = dependencies.map((node) => this.#node(node, call));
    const isCountRight = kind === "while" ? count === 1 : kind === "if" ? count <= 2 : true;
    if (!isCountRight || count < 1) {
      throw cudaError("CUDA_ERROR_INVALID_VALUE", call, `${count} bodies for ${kind}`);
    }
    const bodies = Array.from({ length: count }, () => this.#newGraph());
    const work = { kind: "conditional", condition: kind, handle, bodies } as const;
    const node = this.#streams.addNode(data, before, work);
    return {
      node: node.handle as GraphNode,
      bodies: bodies.map((body) => body.handle as Graph),
    };
  }

  graphInstantiate(graph: Graph): GraphExec {
    const data = this.#graph(graph, "cuGraphInstantiate");
    const defaults = this.#defaults.get(graph) ?? new Map<bigint, number>();
    const exec = this.#handles.add("graph exec", (handle) => ({
      handle,
      ...instantiate(data, defaults),
    }));
    return exec.handle as GraphExec;
  }

  #exec(exec: GraphExec, call: string): ExecData {
    this.#ready(call);
    return this.#handles.get<ExecData>("graph exec", exec, call);
  }

  graphExecDestroy(exec: GraphExec): void {
    this.#handles.take<ExecData>("graph exec", exec, "cuGraphExecDestroy");
  }

  graphExecUpdate(exec: GraphExec, graph: Graph): void {
    const call = "cuGraphExecUpdate";
    if (!updateExec(this.#exec(exec, call), this.#graph(graph, call))) {
      throw cudaError("CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", call);
    }
  }

  graphExecKernelNodeSetParams(exec: GraphExec, node: GraphNode, kernel: KernelLaunch): void {
    const call = "cuGraphExecKernelNodeSetParams";
    const data = this.#exec(exec, call);
    const target = this.#node(node, call);
    if (data.work.get(target)?.kind !== "kernel") {
      throw cudaError("CUDA_ERROR_INVALID_VALUE", call, "not a kernel node of this graph");
    }
    data.work.set(target, { kind: "kernel", launch: this.#checkedLaunch(kernel) });
  }

  graphLaunch(exec: GraphExec, stream: Stream): void {
    const call = "cuGraphLaunch";
    const data = this.#exec(exec, call);
    launchGraph(this.#device, this.#streams, data, this.#streams.get(stream, call));
  }
}
