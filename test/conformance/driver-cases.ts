/**
 * What every `CudaDriver` must do, as functions of one: run on the emulator and, where there is
 * one, on a GPU. Device memory is never compared before the stream that writes it is done.
 */
import { expect } from "vitest";
import { CudaError } from "../../runtime/driver/check.ts";
import {
  type CudaDriver,
  type CudaFunction,
  type Dim3,
  type DevicePtr,
  type KernelLaunch,
  offsetPtr,
} from "../../runtime/driver/driver.ts";
import { type KernelArg, packArgs } from "../../runtime/driver/kernel-args.ts";

export interface DriverCase {
  readonly name: string;
  /** Why this driver or this compiler cannot run it; undefined when they can. */
  readonly skip?: (context: CaseContext) => string | undefined;
  readonly run: (context: CaseContext) => void;
}

export interface CaseContext {
  readonly driver: CudaDriver;
  /** A module of CUDA source as this driver loads it. */
  readonly image: (source: string) => Uint8Array;
  readonly nvrtcMajor: number;
}

const SOURCE = `
__device__ int table[4] = {10, 20, 30, 40};
extern "C" __global__ void add(int* x, int value) { x[threadIdx.x] += value + table[3] - 40; }
extern "C" __global__ void scale(int* x, int value) { x[threadIdx.x] *= value; }
extern "C" __global__ void widths(double* out, signed char a, short b, float c, long long d, double e) {
  out[0] = a; out[1] = b; out[2] = c; out[3] = static_cast<double>(d); out[4] = e;
}
extern "C" __global__ void where(int* out) {
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}
extern "C" __global__ void shared(int* out, int n) {
  extern __shared__ int tile[];
  for (int i = threadIdx.x; i < n; i += blockDim.x) tile[i] = 3 * i;
  __syncthreads();
  out[threadIdx.x] = tile[n - 1 - threadIdx.x];
}
`;

const one = (x: number): Dim3 => ({ x, y: 1, z: 1 });
const ptr = (value: DevicePtr): KernelArg => ({ type: "ptr", value });
const i32 = (value: number): KernelArg => ({ type: "i32", value });

function kernel(fn: CudaFunction, args: readonly KernelArg[], block: Dim3 = one(32)): KernelLaunch {
  return { function: fn, grid: one(1), block, args: packArgs(args) };
}

/** Kernels that begin beside the one before them: one that does not wait computes with old numbers. */
const OVERLAPPING = `
extern "C" __device__ void cudaGraphSetConditional(unsigned long long, unsigned int);
#define BEGIN asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); \\
  asm volatile("griddepcontrol.wait;" ::: "memory");
extern "C" __global__ void next(volatile int* x, int value) {
  BEGIN
  int late = 0;
  for (int i = 0; i < 100; i++) late += x[threadIdx.x];
  x[threadIdx.x] = late / 100 * 3 + value;
}
#ifdef LOOP
extern "C" __global__ void count(int* runs, unsigned long long handle, int end) {
  BEGIN
  if (threadIdx.x != 0) return;
  runs[0] += 1;
  cudaGraphSetConditional(handle, runs[0] < end);
}
#endif
`;

const overlapNeeds = ({ driver }: CaseContext): string | undefined => {
  if (driver.driverVersion() < 12030) return "the driver is older than CUDA 12.3";
  const major = driver.deviceAttribute(driver.deviceGet(0), "computeCapabilityMajor");
  return major < 9 ? "needs compute capability 9.0" : undefined;
};
const loopNeeds = ({ driver, nvrtcMajor }: CaseContext): string | undefined => {
  if (!driver.supports("conditional-nodes")) return "the driver is older than CUDA 12.3";
  if (!driver.supports("capture-to-graph")) return "the driver is older than CUDA 12.3";
  // Its assembler does not know the intrinsic that kernels set the condition with.
  return nvrtcMajor < 12 ? "needs NVRTC 12" : undefined;
};

/** 32 integers on the device, all `value`. */
function buffer(driver: CudaDriver, value: number): DevicePtr {
  const memory = driver.memAlloc(128);
  driver.memcpyHtoD(memory, new Int32Array(32).fill(value));
  return memory;
}

function read(driver: CudaDriver, memory: DevicePtr, count = 32): number[] {
  const out = new Int32Array(count);
  driver.memcpyDtoH(out, memory);
  return [...out];
}

const all = (value: number): number[] => new Array<number>(32).fill(value);

/** A graph whose one node repeats its body while the condition holds; every launch begins with a run. */
function loopGraph(driver: CudaDriver) {
  const graph = driver.graphCreate();
  const handle = driver.graphConditionalCreate(graph, 1);
  const node = { kind: "while", handle, bodies: 1 } as const;
  return { graph, handle, bodies: driver.graphAddConditionalNode(graph, [], node).bodies };
}

export const driverCases: readonly DriverCase[] = [
  {
    name: "describes a device",
    run({ driver }) {
      const device = driver.deviceGet(0);
      expect(driver.deviceCount()).toBeGreaterThan(0);
      expect(driver.deviceName(device)).not.toBe("");
      expect(driver.driverVersion()).toBeGreaterThanOrEqual(11080);
      expect(driver.deviceAttribute(device, "warpSize")).toBe(32);
      expect(driver.deviceAttribute(device, "computeCapabilityMajor")).toBeGreaterThanOrEqual(8);
      expect(driver.deviceAttribute(device, "multiprocessorCount")).toBeGreaterThan(0);
      const { free, total } = driver.memoryInfo();
      expect(free).toBeLessThanOrEqual(total);
      expect(driver.deviceTotalMemory(device)).toBeGreaterThanOrEqual(total);
      expect(() => driver.deviceGet(1000)).toThrow(CudaError);
    },
  },
  {
    name: "copies and sets memory of any size and offset",
    run({ driver }) {
      const memory = driver.memAlloc(1000);
      expect(memory % 256).toBe(0);
      driver.memsetD8(memory, 7, 1000);
      driver.memcpyHtoD(offsetPtr(memory, 13), Uint8Array.of(1, 2, 3));
      driver.memcpyDtoD(offsetPtr(memory, 501), offsetPtr(memory, 12), 5);
      driver.memsetD32(offsetPtr(memory, 100), 0x01020304, 2);
      const out = new Uint8Array(1000);
      driver.memcpyDtoH(out, memory);
      expect([...out.subarray(12, 17)]).toEqual([7, 1, 2, 3, 7]);
      expect([...out.subarray(500, 507)]).toEqual([7, 7, 1, 2, 3, 7, 7]);
      expect([...out.subarray(99, 109)]).toEqual([7, 4, 3, 2, 1, 4, 3, 2, 1, 7]);
      driver.memFree(memory);
    },
  },
  {
    name: "says what was asked for and is free when memory runs out",
    run({ driver }) {
      expect(() => driver.memAlloc(2 ** 50)).toThrow(
        expect.objectContaining({ code: "cuda/out-of-memory" }) as Error,
      );
      const memory = driver.memAlloc(16); // And goes on.
      driver.memFree(memory);
    },
  },
  {
    name: "lets kernels and copies reach pinned host memory",
    run({ driver, image }) {
      const host = driver.memAllocHost(256);
      const stream = driver.streamCreate();
      const device = driver.memAlloc(128);
      const module = driver.moduleLoadData(image(SOURCE));
      new Int32Array(host.view().buffer, host.view().byteOffset, 32).fill(5);
      driver.memcpyHtoDAsync(device, host, 0, 128, stream);
      driver.launch(kernel(driver.moduleGetFunction(module, "add"), [ptr(device), i32(2)]), stream);
      driver.memcpyDtoHAsync(host, 128, device, 128, stream);
      // The device pointer of mapped memory serves kernels directly.
      driver.launch(
        kernel(driver.moduleGetFunction(module, "scale"), [ptr(host.devicePtr), i32(3)]),
        stream,
      );
      driver.streamSynchronize(stream);
      const view = host.view();
      const ints = new Int32Array(view.buffer, view.byteOffset, 64);
      expect([...ints.subarray(0, 32)]).toEqual(all(15));
      expect([...ints.subarray(32)]).toEqual(all(7));
      driver.moduleUnload(module);
      driver.streamDestroy(stream);
      driver.memFree(device);
      driver.memFreeHost(host);
    },
  },
  {
    name: "passes arguments of every width",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const out = driver.memAlloc(40);
      const stream = driver.streamCreate();
      const args: KernelArg[] = [
        ptr(out),
        { type: "i8", value: -5 },
        { type: "i16", value: -300 },
        { type: "f32", value: 0.5 },
        { type: "i64", value: -(2n ** 40n) },
        { type: "f64", value: 1e-300 },
      ];
      const fn = driver.moduleGetFunction(module, "widths");
      const packed = packArgs(args);
      if (driver.supports("param-layout")) {
        expect(driver.functionParams(fn)).toEqual(
          packed.offsets.map((offset, i) => ({ offset, size: packed.sizes[i] })),
        );
      }
      driver.launch(kernel(fn, args, one(1)), stream);
      driver.streamSynchronize(stream);
      const values = new Float64Array(5);
      driver.memcpyDtoH(values, out);
      expect([...values]).toEqual([-5, -300, 0.5, -(2 ** 40), 1e-300]);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(out);
    },
  },
  {
    name: "launches grids and blocks of three dimensions",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const out = driver.memAlloc(4 * 24 * 30);
      const stream = driver.streamCreate();
      driver.launch(
        {
          function: driver.moduleGetFunction(module, "where"),
          grid: { x: 2, y: 3, z: 4 },
          block: { x: 5, y: 2, z: 3 },
          args: packArgs([ptr(out)]),
        },
        stream,
      );
      driver.streamSynchronize(stream);
      const expected = Array.from({ length: 720 }, (_, i) => 1000 * Math.floor(i / 30) + (i % 30));
      expect(read(driver, out, 720)).toEqual(expected);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(out);
    },
  },
  {
    name: "gives dynamic shared memory past 48 KiB to functions that opt in",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const fn = driver.moduleGetFunction(module, "shared");
      const out = driver.memAlloc(128);
      const stream = driver.streamCreate();
      const launch = {
        ...kernel(fn, [ptr(out), i32(16384)]),
        sharedBytes: 65536,
      };
      expect(() => driver.launch(launch, stream)).toThrow(CudaError);
      driver.functionSetAttribute(fn, "maxDynamicSharedSize", 65536);
      expect(driver.functionAttribute(fn, "maxDynamicSharedSize")).toBe(65536);
      driver.launch(launch, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, out)).toEqual(Array.from({ length: 32 }, (_, i) => 3 * (16383 - i)));
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(out);
    },
  },
  {
    name: "finds functions and globals by name, and says which is not there",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const { ptr: table, bytes } = driver.moduleGetGlobal(module, "table");
      expect(bytes).toBe(16);
      expect(read(driver, table, 4)).toEqual([10, 20, 30, 40]);
      expect(() => driver.moduleGetFunction(module, "nothing")).toThrow(/nothing/);
      expect(() => driver.moduleGetGlobal(module, "nothing")).toThrow(/nothing/);
      driver.moduleUnload(module);
      expect(() => driver.moduleLoadData(new TextEncoder().encode("not PTX"))).toThrow();
    },
  },
  {
    name: "orders two streams by an event",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const x = buffer(driver, 1);
      const [a, b] = [driver.streamCreate(), driver.streamCreate()];
      const event = driver.eventCreate({ timing: true });
      const later = driver.eventCreate({ timing: true });
      expect(driver.eventQuery(event)).toBe(true); // Nothing recorded yet.
      driver.launch(kernel(driver.moduleGetFunction(module, "add"), [ptr(x), i32(4)]), a);
      driver.eventRecord(event, a);
      driver.streamWaitEvent(b, event);
      driver.launch(kernel(driver.moduleGetFunction(module, "scale"), [ptr(x), i32(10)]), b);
      driver.eventRecord(later, b);
      driver.eventSynchronize(later);
      expect(driver.eventQuery(event)).toBe(true);
      expect(driver.streamQuery(a)).toBe(true);
      expect(driver.eventElapsed(event, later)).toBeGreaterThanOrEqual(0);
      expect(read(driver, x)).toEqual(all(50));
      for (const stream of [a, b]) driver.streamDestroy(stream);
      for (const one of [event, later]) driver.eventDestroy(one);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "captures a graph that runs nothing until it is launched, then any number of times",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const add = driver.moduleGetFunction(module, "add");
      const scale = driver.moduleGetFunction(module, "scale");
      const x = buffer(driver, 1);
      const stream = driver.streamCreate();
      const capture = (value: number) => {
        driver.streamBeginCapture(stream);
        driver.launch(kernel(add, [ptr(x), i32(value)]), stream);
        driver.launch(kernel(scale, [ptr(x), i32(2)]), stream);
        driver.memsetD32Async(x, 100, 1, stream);
        return driver.streamEndCapture(stream);
      };
      const graph = capture(1);
      expect(driver.graphNodes(graph)).toHaveLength(3);
      expect(read(driver, x)).toEqual(all(1));
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual([100, ...all(10).slice(1)]);
      // The same shape with another argument.
      const other = capture(5);
      driver.graphExecUpdate(exec, other);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual([100, ...all(30).slice(1)]);
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.graphDestroy(other);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "runs explicit kernel nodes in the order of their dependencies, with new arguments",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const add = driver.moduleGetFunction(module, "add");
      const scale = driver.moduleGetFunction(module, "scale");
      const x = buffer(driver, 1);
      const graph = driver.graphCreate();
      const first = driver.graphAddKernelNode(graph, [], kernel(add, [ptr(x), i32(2)]));
      const second = driver.graphAddKernelNode(graph, [first], kernel(scale, [ptr(x), i32(3)]));
      driver.graphAddKernelNode(graph, [second], kernel(add, [ptr(x), i32(1)]));
      const exec = driver.graphInstantiate(graph);
      const stream = driver.streamCreate();
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual(all(10));
      driver.graphExecKernelNodeSetParams(exec, second, kernel(scale, [ptr(x), i32(-1)]));
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual(all(-11));
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "captures into a graph that exists",
    skip: ({ driver }) =>
      driver.supports("capture-to-graph") ? undefined : "the driver is older than CUDA 12.3",
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(SOURCE));
      const x = buffer(driver, 1);
      const graph = driver.graphCreate();
      const add = kernel(driver.moduleGetFunction(module, "add"), [ptr(x), i32(2)]);
      const scale = kernel(driver.moduleGetFunction(module, "scale"), [ptr(x), i32(3)]);
      const node = driver.graphAddKernelNode(graph, [], add);
      const stream = driver.streamCreate();
      driver.streamBeginCaptureToGraph(stream, graph, [node]);
      driver.launch(scale, stream);
      expect(driver.streamEndCapture(stream)).toBe(graph);
      expect(driver.graphNodes(graph)).toHaveLength(2);
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual(all(9));
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "repeats a graph on the device while a kernel says so",
    skip: loopNeeds,
    run({ driver, image }) {
      const module = driver.moduleLoadData(
        image(`extern "C" __device__ void cudaGraphSetConditional(unsigned long long, unsigned int);
extern "C" __global__ void count(int* x, unsigned long long handle, int end) {
  x[0] += 1;
  cudaGraphSetConditional(handle, x[0] < end);
}
`),
      );
      const x = buffer(driver, 0);
      const { graph, handle, bodies } = loopGraph(driver);
      const stream = driver.streamCreate();
      for (const body of bodies) {
        driver.streamBeginCaptureToGraph(stream, body, []);
        driver.launch(
          kernel(
            driver.moduleGetFunction(module, "count"),
            [ptr(x), { type: "u64", value: handle }, i32(7)],
            one(1),
          ),
          stream,
        );
        driver.streamEndCapture(stream);
      }
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x, 1)).toEqual([7]);
      // The default value lets the next launch in once; then the kernel says no.
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x, 1)).toEqual([8]);
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "runs launches that overlap as if they did not, from a stream and from a graph",
    skip: overlapNeeds,
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(OVERLAPPING));
      const next = driver.moduleGetFunction(module, "next");
      driver.functionAttribute(next, "numRegisters"); // Loaded before a capture.
      const x = buffer(driver, 0);
      const stream = driver.streamCreate();
      const launch = () => {
        for (const value of [1, 2, 3])
          driver.launch({ ...kernel(next, [ptr(x), i32(value)]), programmatic: value > 1 }, stream);
      };
      launch();
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual(all(18));
      driver.streamBeginCapture(stream);
      launch();
      const graph = driver.streamEndCapture(stream);
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, x)).toEqual(all(27 * (27 * 18 + 18) + 18));
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      driver.memFree(x);
    },
  },
  {
    name: "repeats launches that overlap on the device",
    skip: (context) => overlapNeeds(context) ?? loopNeeds(context),
    run({ driver, image }) {
      const module = driver.moduleLoadData(image(`#define LOOP\n${OVERLAPPING}`));
      const next = driver.moduleGetFunction(module, "next");
      const count = driver.moduleGetFunction(module, "count");
      for (const fn of [next, count]) driver.functionAttribute(fn, "numRegisters");
      const [x, runs] = [buffer(driver, 0), buffer(driver, 0)];
      const { graph, handle, bodies } = loopGraph(driver);
      const stream = driver.streamCreate();
      for (const body of bodies) {
        driver.streamBeginCaptureToGraph(stream, body, []);
        driver.launch(kernel(next, [ptr(x), i32(1)]), stream);
        driver.launch({ ...kernel(next, [ptr(x), i32(2)]), programmatic: true }, stream);
        const last = kernel(count, [ptr(runs), { type: "u64", value: handle }, i32(5)]);
        driver.launch({ ...last, programmatic: true }, stream);
        driver.streamEndCapture(stream);
      }
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      driver.streamSynchronize(stream);
      expect(read(driver, runs, 1)).toEqual([5]);
      let expected = 0;
      for (let i = 0; i < 5; i++) expected = 3 * (3 * expected + 1) + 2;
      expect(read(driver, x)).toEqual(all(expected));
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
      driver.streamDestroy(stream);
      driver.moduleUnload(module);
      for (const memory of [x, runs]) driver.memFree(memory);
    },
  },
];
