import koffi from "koffi";
import { beforeEach, describe, expect, it } from "vitest";
import { DEVICE_ATTRIBUTES, FUNCTION_ATTRIBUTES } from "../../../runtime/driver/attributes.ts";
import { CudaError } from "../../../runtime/driver/check.ts";
import { loadCudaDriver } from "../../../runtime/driver/cuda-driver.ts";
import type { KernelLaunch } from "../../../runtime/driver/driver.ts";
import { offsetPtr } from "../../../runtime/driver/driver.ts";
import { packArgs } from "../../../runtime/driver/kernel-args.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { buildStub } from "./build-stub.ts";

const stub = buildStub();
const missing = "missing" in stub ? stub.missing : undefined;

describe.skipIf(missing !== undefined)(`the koffi binding against cuda.h ${missing ?? ""}`, () => {
  const path = "path" in stub ? stub.path : "";
  const library = missing === undefined ? koffi.load(path) : undefined;
  const takeLog = library?.func("const char *stub_take_log()");
  const fail = library?.func("void stub_fail(const char *name, int result)");
  const driver = missing === undefined ? loadCudaDriver(path) : undefined;
  if (driver === undefined || takeLog === undefined || fail === undefined) return;

  /** The lines the stub wrote during `calls`. */
  const log = (calls: () => void): string[] => {
    takeLog();
    calls();
    return (takeLog() as string).trim().split("\n");
  };
  beforeEach(() => fail("", 0));

  const CONTEXT = 0x7f0000001000;
  const STREAM = 0x7f0000002000;
  const EVENT = 0x7f0000003000;
  const FUNCTION = 0x7f0000005000;
  const GRAPH = 0x7f0000007000;
  const NODE = 0x7f0000008000;
  const EXEC = 0x7f000000a000;
  const stream = driver.streamCreate();
  const fn = driver.moduleGetFunction(driver.moduleLoadData(new Uint8Array([65])), "k");
  const graph = driver.graphCreate();

  const kernel: KernelLaunch = {
    function: fn,
    grid: { x: 12, y: 3, z: 2 },
    block: { x: 128, y: 4, z: 1 },
    sharedBytes: 65536,
    args: packArgs([
      { type: "u64", value: 0xfedcba9876543210n },
      { type: "f32", value: 0.5 },
      { type: "i64", value: -7 },
      { type: "u8", value: 200 },
    ]),
  };
  const SHAPE = "grid 12 3 2 block 128 4 1 shared 65536";
  const PARAMS = "params 18364758544493064720 0.5 -7 200";

  it("asks for devices and their attributes by the numbers of cuda.h", () => {
    const lines = log(() => {
      driver.init();
      expect(driver.driverVersion()).toBe(13000);
      expect(driver.deviceCount()).toBe(2);
      const device = driver.deviceGet(1);
      expect(driver.deviceName(device)).toBe("Stub 41");
      expect(driver.deviceTotalMemory(device)).toBe(80 * 2 ** 30);
      expect(driver.deviceAttribute(device, "computeCapabilityMajor")).toBe(
        1000 + DEVICE_ATTRIBUTES.computeCapabilityMajor,
      );
    });
    expect(lines).toEqual([
      "cuInit 0",
      "cuDriverGetVersion",
      "cuDeviceGetCount",
      "cuDeviceGet 1",
      "cuDeviceGetName 256 41",
      "cuDeviceTotalMem_v2 41",
      "cuDeviceGetAttribute 75 41",
    ]);
  });

  it("retains, selects, waits for and releases the primary context", () => {
    const lines = log(() => {
      const device = driver.deviceGet(0);
      const context = driver.primaryContextRetain(device);
      driver.contextSetCurrent(context);
      driver.contextSynchronize();
      driver.primaryContextRelease(device);
    });
    expect(lines.slice(1)).toEqual([
      "cuDevicePrimaryCtxRetain 40",
      `cuCtxSetCurrent ${CONTEXT}`,
      "cuCtxSynchronize",
      "cuDevicePrimaryCtxRelease_v2 40",
    ]);
  });

  it("copies bytes to the device, on it and back", () => {
    const a = driver.memAlloc(16);
    const b = driver.memAlloc(16);
    driver.memcpyHtoD(a, Float32Array.of(1, 2, 3, 4));
    driver.memcpyDtoD(offsetPtr(b, 4), a, 12);
    driver.memcpyDtoD(b, offsetPtr(a, 12), 4);
    // A view into the middle of a larger buffer, whose neighbours must stay as they are.
    const back = Float32Array.of(9, 9, 9, 9, 9, 9);
    driver.memcpyDtoH(back.subarray(1, 5), b);
    expect([...back]).toEqual([9, 4, 1, 2, 3, 9]);
    const view = new DataView(new ArrayBuffer(24), 8, 4);
    driver.memcpyDtoH(view, b);
    expect(view.getFloat32(0, true)).toBe(4);
    const lines = log(() => {
      driver.memFree(a);
      driver.memFree(b);
    });
    expect(lines).toEqual(["cuMemFree_v2", "cuMemFree_v2"]);
  });

  it("returns from synchronous copies when no stream of ours could overtake them", () => {
    const ptr = driver.memAlloc(16);
    const lines = log(() => {
      driver.memcpyHtoD(ptr, Uint8Array.of(1, 2, 3, 4));
      driver.memcpyDtoD(offsetPtr(ptr, 8), ptr, 4);
    });
    expect(lines.filter((line) => line === "cuStreamSynchronize 0")).toHaveLength(2);
    driver.memFree(ptr);
  });

  it("copies between shared array buffers and the device", () => {
    const ptr = driver.memAlloc(8);
    driver.memcpyHtoD(ptr, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    driver.memcpyDtoH(shared, ptr);
    expect([...shared]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    driver.memFree(ptr);
  });

  it("copies asynchronously between pinned and device memory, at offsets", () => {
    const host = driver.memAllocHost(32);
    const ptr = driver.memAlloc(8);
    host.view().set([1, 2, 3, 4], 8);
    const lines = log(() => {
      driver.memcpyHtoDAsync(ptr, host, 8, 4, stream);
      driver.memcpyDtoDAsync(offsetPtr(ptr, 4), ptr, 4, stream);
      driver.memcpyDtoHAsync(host, 20, ptr, 8, stream);
    });
    expect([...host.view(20, 8)]).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    expect(lines).toEqual([
      `cuMemcpyHtoDAsync_v2 4 ${STREAM}`,
      `cuMemcpyDtoDAsync_v2 4 ${STREAM}`,
      `cuMemcpyDtoHAsync_v2 8 ${STREAM}`,
    ]);
    expect(() => driver.memcpyDtoHAsync(host, 30, ptr, 8, stream)).toThrow(/bytes 30 to 38/);
    driver.memFreeHost(host);
    driver.memFree(ptr);
  });

  it("sets bytes and words", () => {
    const ptr = offsetPtr(driver.memAlloc(4), 0);
    const lines = log(() => {
      driver.memsetD8(ptr, 0x1ff, 3);
      driver.memsetD32(ptr, -1, 5);
      driver.memsetD8Async(ptr, 7, 3, stream);
      driver.memsetD32Async(ptr, 8, 5, stream);
    });
    expect(lines).toEqual([
      `cuMemsetD8_v2 ${ptr} 255 3`,
      "cuStreamSynchronize 0",
      `cuMemsetD32_v2 ${ptr} 4294967295 5`,
      "cuStreamSynchronize 0",
      `cuMemsetD8Async ${ptr} 7 3 ${STREAM}`,
      `cuMemsetD32Async ${ptr} 8 5 ${STREAM}`,
    ]);
  });

  it("never makes a host view that koffi would die of", () => {
    const host = driver.memAllocHost(5 * 2 ** 30);
    expect(() => host.view()).toThrow(HydrantError);
    expect(() => host.view(0, 2 ** 32 + 1)).toThrow(/is the most one can span/);
    const tail = host.view(5 * 2 ** 30 - 16, 16);
    tail[15] = 42;
    expect(host.view(5 * 2 ** 30 - 1, 1)[0]).toBe(42);
    expect(() => host.view(5 * 2 ** 30 - 1, 2)).toThrow(CudaError);
    driver.memFreeHost(host);
  });

  it("asks for mapped, portable and write-combined host memory", () => {
    const lines = log(() => {
      driver.memAllocHost(64);
      driver.memAllocHost(64, { writeCombined: true });
    });
    expect(lines.filter((line) => line.startsWith("cuMemHostAlloc"))).toEqual([
      "cuMemHostAlloc 64 3",
      "cuMemHostAlloc 64 7",
    ]);
  });

  it("drives streams and events", () => {
    const lines = log(() => {
      driver.streamCreate({ priority: -5 });
      const event = driver.eventCreate();
      const timed = driver.eventCreate({ timing: true });
      driver.eventRecord(event, stream);
      driver.streamWaitEvent(stream, event);
      driver.eventSynchronize(event);
      expect(driver.eventElapsed(timed, timed)).toBe(1.5);
      driver.eventDestroy(event);
      driver.streamSynchronize(stream);
      driver.streamDestroy(stream);
    });
    expect(lines).toEqual([
      "cuStreamCreateWithPriority 1 -5",
      "cuEventCreate 2",
      "cuEventCreate 0",
      `cuEventRecord ${EVENT} ${STREAM}`,
      `cuStreamWaitEvent ${STREAM} ${EVENT} 0`,
      `cuEventSynchronize ${EVENT}`,
      `cuEventElapsedTime ${EVENT} ${EVENT}`,
      `cuEventDestroy_v2 ${EVENT}`,
      `cuStreamSynchronize ${STREAM}`,
      `cuStreamDestroy_v2 ${STREAM}`,
    ]);
  });

  it("takes not-ready as an answer and any other failure as an error", () => {
    const event = driver.eventCreate();
    expect(driver.eventQuery(event)).toBe(true);
    expect(driver.streamQuery(stream)).toBe(true);
    fail("cuEventQuery", 600);
    expect(driver.eventQuery(event)).toBe(false);
    fail("cuStreamQuery", 600);
    expect(driver.streamQuery(stream)).toBe(false);
    fail("cuStreamQuery", 700);
    expect(() => driver.streamQuery(stream)).toThrow(/memory it does not own/);
  });

  it("loads modules, ending PTX text with a NUL, and finds symbols", () => {
    const lines = log(() => {
      const module = driver.moduleLoadData(new TextEncoder().encode(".version 7.8"));
      driver.moduleGetFunction(module, "_Z1kv");
      expect(driver.moduleGetGlobal(module, "table")).toEqual({ ptr: 0x7f0000006000, bytes: 12 });
      driver.moduleUnload(module);
    });
    expect(lines).toEqual([
      "cuModuleLoadData '.version 7.8'",
      `cuModuleGetFunction ${0x7f0000004000} '_Z1kv'`,
      `cuModuleGetGlobal_v2 ${0x7f0000004000} 'table'`,
      `cuModuleUnload ${0x7f0000004000}`,
    ]);
  });

  it("reads and sets function attributes and reads the parameter layout", () => {
    const lines = log(() => {
      expect(driver.functionAttribute(fn, "numRegisters")).toBe(
        100 + FUNCTION_ATTRIBUTES.numRegisters,
      );
      driver.functionSetAttribute(fn, "maxDynamicSharedSize", 99 * 1024);
      expect(driver.functionParams(fn)).toEqual([
        { offset: 0, size: 8 },
        { offset: 8, size: 4 },
        { offset: 16, size: 8 },
        { offset: 24, size: 1 },
      ]);
    });
    expect(lines.slice(0, 2)).toEqual([
      `cuFuncGetAttribute 4 ${FUNCTION}`,
      `cuFuncSetAttribute ${FUNCTION} 8 101376`,
    ]);
  });

  it("launches with the shape, the stream and every argument in place", () => {
    expect(log(() => driver.launch(kernel, stream))).toEqual([
      `cuLaunchKernelEx ${FUNCTION} ${SHAPE} stream ${STREAM} extra 0 ${PARAMS}`,
    ]);
  });

  it("passes clusters, programmatic dependent launch and cooperation as launch attributes", () => {
    const fancy: KernelLaunch = {
      ...kernel,
      cluster: { x: 4, y: 3, z: 2 },
      programmatic: true,
      cooperative: true,
    };
    expect(log(() => driver.launch(fancy, stream))[0]).toContain(
      "extra 0 cluster 4 3 2 programmatic 1 cooperative 1 params",
    );
    // Attributes of an earlier launch must not linger.
    expect(log(() => driver.launch(kernel, stream))[0]).toContain("extra 0 params");
  });

  it("refuses more argument bytes than a kernel can take", () => {
    const args = packArgs([{ type: "bytes", value: new Uint8Array(32768), align: 1 }]);
    expect(() => driver.launch({ ...kernel, args }, stream)).toThrow(/32768 bytes of arguments/);
  });

  it("makes tensor maps, counting dimensions from the innermost", () => {
    const matrix = offsetPtr(driver.memAlloc(16), 0);
    const map = { dtype: "bf16", rows: 63, columns: 4096, boxRows: 32 } as const;
    const lines = log(() => {
      expect(driver.tensorMapEncode(matrix, { ...map, columns: 4100 })).toEqual(
        new Uint8Array(128).fill(4100 & 0xff),
      );
      driver.tensorMapEncode(matrix, { ...map, dtype: "f16" });
    });
    const how = "plain swizzle 128B promotion 256B zeros";
    expect(lines).toEqual([
      `cuTensorMapEncodeTiled bf16 rank 2 at ${matrix} dims 4100 63 stride 8200 box 64 step 1 box 32 step 1 ${how}`,
      `cuTensorMapEncodeTiled f16 rank 2 at ${matrix} dims 4096 63 stride 8192 box 64 step 1 box 32 step 1 ${how}`,
    ]);
    expect(driver.supports("tensor-maps")).toBe(true);
    fail("cuTensorMapEncodeTiled", 1);
    expect(() => driver.tensorMapEncode(matrix, map)).toThrow(
      /boxes \[32, 64\] of bf16 \[63, 4096\]/,
    );
  });

  it("captures streams, also into a graph that exists", () => {
    const lines = log(() => {
      driver.streamBeginCapture(stream);
      const captured = driver.streamEndCapture(stream);
      driver.streamBeginCaptureToGraph(stream, captured, driver.graphNodes(captured));
      driver.streamBeginCaptureToGraph(stream, captured, []);
    });
    expect(lines).toEqual([
      `cuStreamBeginCapture_v2 ${STREAM} 1`,
      `cuStreamEndCapture ${STREAM}`,
      `cuGraphGetNodes ${GRAPH}`,
      `cuGraphGetNodes ${GRAPH}`,
      `cuStreamBeginCaptureToGraph ${STREAM} ${GRAPH} 0 1 after ${NODE} after ${NODE + 8}`,
      `cuStreamBeginCaptureToGraph ${STREAM} ${GRAPH} 0 1`,
    ]);
  });

  it("adds kernel nodes with their attributes", () => {
    const lines = log(() => {
      const node = driver.graphAddKernelNode(graph, [], { ...kernel, cooperative: true });
      driver.graphAddKernelNode(graph, [node], { ...kernel, cluster: { x: 2, y: 1, z: 1 } });
    });
    const params = `function ${FUNCTION} ${SHAPE} extra 0 kern 0 ctx 0 ${PARAMS}`;
    expect(lines).toEqual([
      `cuGraphAddKernelNode_v2 ${GRAPH} ${params}`,
      `cuGraphKernelNodeSetAttribute ${NODE} cooperative 1`,
      `cuGraphAddKernelNode_v2 ${GRAPH} after ${NODE} ${params}`,
      `cuGraphKernelNodeSetAttribute ${NODE} cluster 2 1 1`,
    ]);
    expect(() => driver.graphAddKernelNode(graph, [], { ...kernel, programmatic: true })).toThrow(
      /capture the launch/,
    );
  });

  it("instantiates, updates, launches and destroys graphs", () => {
    const lines = log(() => {
      const node = driver.graphAddKernelNode(graph, [], kernel);
      const exec = driver.graphInstantiate(graph);
      driver.graphExecUpdate(exec, graph);
      driver.graphExecKernelNodeSetParams(exec, node, kernel);
      driver.graphLaunch(exec, stream);
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
    });
    expect(lines.slice(1)).toEqual([
      `cuGraphInstantiateWithFlags ${GRAPH} 0`,
      `cuGraphExecUpdate_v2 ${EXEC} ${GRAPH}`,
      `cuGraphExecKernelNodeSetParams_v2 ${EXEC} ${NODE} function ${FUNCTION} ${SHAPE} extra 0 kern 0 ctx 0 ${PARAMS}`,
      `cuGraphLaunch ${EXEC} ${STREAM}`,
      `cuGraphExecDestroy ${EXEC}`,
      `cuGraphDestroy ${GRAPH}`,
    ]);
  });

  it("adds conditional nodes and returns the graphs of their bodies", () => {
    const lines = log(() => {
      const handle = driver.graphConditionalCreate(graph, 1);
      expect(handle).toBe(0xfedcba9876543210n);
      const { node, bodies } = driver.graphAddConditionalNode(graph, [], {
        kind: "while",
        handle,
        bodies: 1,
      });
      expect(bodies).toEqual([0x7f0000009000]);
      const other = driver.graphConditionalCreate(graph);
      const choice = driver.graphAddConditionalNode(graph, [node], {
        kind: "switch",
        handle: other,
        bodies: 3,
      });
      expect(choice.bodies).toHaveLength(3);
    });
    const created = lines.filter((line) => line.startsWith("cuGraphConditionalHandleCreate"));
    expect(created).toEqual([
      `cuGraphConditionalHandleCreate ${GRAPH} ${CONTEXT} 1 1`,
      `cuGraphConditionalHandleCreate ${GRAPH} ${CONTEXT} 0 0`,
    ]);
    const added = lines.filter((line) => line.startsWith("cuGraphAddNode_v2"));
    const rest = `ctx ${CONTEXT} reserved 0`;
    expect(added).toEqual([
      `cuGraphAddNode_v2 ${GRAPH} 0 type 13 handle fedcba9876543210 kind 1 size 1 ${rest}`,
      `cuGraphAddNode_v2 ${GRAPH} 0 after ${NODE + 16} type 13 handle fedcba9876543210 kind 2 size 3 ${rest}`,
    ]);
  });

  it("says what was asked for and what is free when memory runs out", () => {
    fail("cuMemAlloc_v2", 2);
    expect(() => driver.memAlloc(8 * 2 ** 30)).toThrow(
      "cuMemAlloc failed: the device is out of memory (asked for 8.00 GiB, 3.00 GiB of 80.00 GiB are free)",
    );
  });

  it("names the launch shape when a launch fails", () => {
    fail("cuLaunchKernelEx", 701);
    expect(() => driver.launch(kernel, stream)).toThrow(/block 128x4x1, 65536 bytes of dynamic/);
  });
});
