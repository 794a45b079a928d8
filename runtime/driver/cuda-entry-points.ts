/**
 * C prototypes of the driver-API functions the binding calls, by exported symbol. Handles and
 * addresses are declared as 64-bit integers, which is the fastest form to pass and keeps pointers
 * typed on our side; `void *` marks memory the driver reads or writes during the call.
 */

/** Present in every driver from CUDA 12.0 on. */
export const REQUIRED_ENTRY_POINTS = {
  cuInit: "int cuInit(uint32_t flags)",
  cuDriverGetVersion: "int cuDriverGetVersion(void *version)",
  cuDeviceGet: "int cuDeviceGet(void *device, int ordinal)",
  cuDeviceGetCount: "int cuDeviceGetCount(void *count)",
  cuDeviceGetName: "int cuDeviceGetName(void *name, int length, int device)",
  cuDeviceGetAttribute: "int cuDeviceGetAttribute(void *value, int attribute, int device)",
  cuDeviceTotalMem_v2: "int cuDeviceTotalMem_v2(void *bytes, int device)",
  cuDevicePrimaryCtxRetain: "int cuDevicePrimaryCtxRetain(void *context, int device)",
  cuDevicePrimaryCtxRelease_v2: "int cuDevicePrimaryCtxRelease_v2(int device)",
  cuCtxSetCurrent: "int cuCtxSetCurrent(uint64_t context)",
  cuCtxGetCurrent: "int cuCtxGetCurrent(void *context)",
  cuCtxSynchronize: "int cuCtxSynchronize()",

  cuMemGetInfo_v2: "int cuMemGetInfo_v2(void *free, void *total)",
  cuMemAlloc_v2: "int cuMemAlloc_v2(void *ptr, size_t bytes)",
  cuMemFree_v2: "int cuMemFree_v2(uint64_t ptr)",
  cuMemHostAlloc: "int cuMemHostAlloc(void *ptr, size_t bytes, uint32_t flags)",
  cuMemHostGetDevicePointer_v2:
    "int cuMemHostGetDevicePointer_v2(void *device, uint64_t host, uint32_t flags)",
  cuMemFreeHost: "int cuMemFreeHost(uint64_t host)",
  cuMemcpyHtoD_v2: "int cuMemcpyHtoD_v2(uint64_t dst, void *src, size_t bytes)",
  cuMemcpyDtoH_v2: "int cuMemcpyDtoH_v2(void *dst, uint64_t src, size_t bytes)",
  cuMemcpyDtoD_v2: "int cuMemcpyDtoD_v2(uint64_t dst, uint64_t src, size_t bytes)",
  // The asynchronous forms outlive the call, so their host side is an address, never a JS buffer.
  cuMemcpyHtoDAsync_v2:
    "int cuMemcpyHtoDAsync_v2(uint64_t dst, uint64_t src, size_t bytes, uint64_t stream)",
  cuMemcpyDtoHAsync_v2:
    "int cuMemcpyDtoHAsync_v2(uint64_t dst, uint64_t src, size_t bytes, uint64_t stream)",
  cuMemcpyDtoDAsync_v2:
    "int cuMemcpyDtoDAsync_v2(uint64_t dst, uint64_t src, size_t bytes, uint64_t stream)",
  cuMemsetD8_v2: "int cuMemsetD8_v2(uint64_t dst, uint8_t value, size_t count)",
  cuMemsetD32_v2: "int cuMemsetD32_v2(uint64_t dst, uint32_t value, size_t count)",
  cuMemsetD8Async:
    "int cuMemsetD8Async(uint64_t dst, uint8_t value, size_t count, uint64_t stream)",
  cuMemsetD32Async:
    "int cuMemsetD32Async(uint64_t dst, uint32_t value, size_t count, uint64_t stream)",

  cuStreamCreateWithPriority:
    "int cuStreamCreateWithPriority(void *stream, uint32_t flags, int priority)",
  cuStreamDestroy_v2: "int cuStreamDestroy_v2(uint64_t stream)",
  cuStreamQuery: "int cuStreamQuery(uint64_t stream)",
  cuStreamSynchronize: "int cuStreamSynchronize(uint64_t stream)",
  cuStreamWaitEvent: "int cuStreamWaitEvent(uint64_t stream, uint64_t event, uint32_t flags)",
  cuEventCreate: "int cuEventCreate(void *event, uint32_t flags)",
  cuEventDestroy_v2: "int cuEventDestroy_v2(uint64_t event)",
  cuEventRecord: "int cuEventRecord(uint64_t event, uint64_t stream)",
  cuEventQuery: "int cuEventQuery(uint64_t event)",
  cuEventSynchronize: "int cuEventSynchronize(uint64_t event)",
  cuEventElapsedTime: "int cuEventElapsedTime(void *milliseconds, uint64_t start, uint64_t end)",

  cuModuleLoadData: "int cuModuleLoadData(void *module, void *image)",
  cuModuleUnload: "int cuModuleUnload(uint64_t module)",
  cuModuleGetFunction: "int cuModuleGetFunction(void *function, uint64_t module, const char *name)",
  cuModuleGetGlobal_v2:
    "int cuModuleGetGlobal_v2(void *ptr, void *bytes, uint64_t module, const char *name)",
  cuFuncGetAttribute: "int cuFuncGetAttribute(void *value, int attribute, uint64_t function)",
  cuFuncSetAttribute: "int cuFuncSetAttribute(uint64_t function, int attribute, int value)",
  cuLaunchKernelEx:
    "int cuLaunchKernelEx(uint64_t config, uint64_t function, uint64_t params, uint64_t extra)",

  cuStreamBeginCapture_v2: "int cuStreamBeginCapture_v2(uint64_t stream, int mode)",
  cuStreamEndCapture: "int cuStreamEndCapture(uint64_t stream, void *graph)",
  cuGraphCreate: "int cuGraphCreate(void *graph, uint32_t flags)",
  cuGraphDestroy: "int cuGraphDestroy(uint64_t graph)",
  cuGraphGetNodes: "int cuGraphGetNodes(uint64_t graph, void *nodes, void *count)",
  cuGraphAddKernelNode_v2:
    "int cuGraphAddKernelNode_v2(void *node, uint64_t graph, void *dependencies, size_t count, uint64_t params)",
  cuGraphKernelNodeSetAttribute:
    "int cuGraphKernelNodeSetAttribute(uint64_t node, int attribute, uint64_t value)",
  cuGraphInstantiateWithFlags:
    "int cuGraphInstantiateWithFlags(void *exec, uint64_t graph, uint64_t flags)",
  cuGraphExecDestroy: "int cuGraphExecDestroy(uint64_t exec)",
  cuGraphExecUpdate_v2: "int cuGraphExecUpdate_v2(uint64_t exec, uint64_t graph, void *result)",
  cuGraphExecKernelNodeSetParams_v2:
    "int cuGraphExecKernelNodeSetParams_v2(uint64_t exec, uint64_t node, uint64_t params)",
  cuGraphLaunch: "int cuGraphLaunch(uint64_t exec, uint64_t stream)",
} as const;

/** Of newer drivers; the version in the comment brought them. */
export const OPTIONAL_ENTRY_POINTS = {
  // 12.3
  cuStreamBeginCaptureToGraph:
    "int cuStreamBeginCaptureToGraph(uint64_t stream, uint64_t graph, void *dependencies, void *edges, size_t count, int mode)",
  // 12.3
  cuGraphConditionalHandleCreate:
    "int cuGraphConditionalHandleCreate(void *handle, uint64_t graph, uint64_t context, uint32_t value, uint32_t flags)",
  // 12.3
  cuGraphAddNode_v2:
    "int cuGraphAddNode_v2(void *node, uint64_t graph, void *dependencies, void *edges, size_t count, uint64_t params)",
  // 12.0, and of no use before compute capability 9.0
  cuTensorMapEncodeTiled:
    "int cuTensorMapEncodeTiled(uint64_t map, int type, uint32_t rank, uint64_t address, void *dimensions, void *strides, void *box, void *steps, int interleave, int swizzle, int promotion, int fill)",
  // 12.4
  cuFuncGetParamInfo:
    "int cuFuncGetParamInfo(uint64_t function, size_t index, void *offset, void *size)",
} as const;

export type RequiredEntryPoint = keyof typeof REQUIRED_ENTRY_POINTS;
export type OptionalEntryPoint = keyof typeof OPTIONAL_ENTRY_POINTS;
/** What the binding passes: integers, or memory the driver may touch during the call only. */
export type NativeArgument = number | bigint | string | ArrayBufferView | null;
export type NativeCall = (...args: readonly NativeArgument[]) => number;
