// A driver library that does nothing on any device: it writes every call with every argument and
// structure field into a log, and copies between host buffers. Compiled against the real cuda.h,
// so a prototype or a field that differs from the toolkit's does not compile.
#include <cuda.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static char record[1 << 16];
static size_t used;
static char failing[64];
static CUresult failure;

static void note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  used += (size_t)vsnprintf(record + used, sizeof record - used, format, args);
  va_end(args);
}
static CUresult end(const char *name) {
  note("\n");
  return strcmp(name, failing) == 0 ? failure : CUDA_SUCCESS;
}
#define U(x) ((unsigned long long)(x))
#define NOTE0() note("%s", __func__)
#define NOTE1(a) note("%s %llu", __func__, U(a))
#define NOTE2(a, b) note("%s %llu %llu", __func__, U(a), U(b))
#define NOTE3(a, b, c) note("%s %llu %llu %llu", __func__, U(a), U(b), U(c))
#define NOTE4(a, b, c, d) note("%s %llu %llu %llu %llu", __func__, U(a), U(b), U(c), U(d))
#define END() return end(__func__)

const char *stub_take_log(void) {
  static char taken[sizeof record];
  memcpy(taken, record, used + 1);
  used = 0;
  record[0] = 0;
  return taken;
}
void stub_fail(const char *name, int result) {
  snprintf(failing, sizeof failing, "%s", name);
  failure = (CUresult)result;
}

CUresult cuInit(unsigned int flags) { NOTE1(flags); END(); }
CUresult cuDriverGetVersion(int *version) { NOTE0(); *version = 13000; END(); }
CUresult cuDeviceGetCount(int *count) { NOTE0(); *count = 2; END(); }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { NOTE1(ordinal); *device = ordinal + 40; END(); }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  NOTE2(length, device);
  snprintf(name, (size_t)length, "Stub %d", device);
  END();
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  NOTE2(attribute, device);
  *value = 1000 + (int)attribute;
  END();
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { NOTE1(device); *bytes = 80ull << 30; END(); }
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  NOTE1(device);
  *context = (CUcontext)0x7f0000001000;
  END();
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { NOTE1(device); END(); }
CUresult cuCtxSetCurrent(CUcontext context) { NOTE1(context); END(); }
CUresult cuCtxGetCurrent(CUcontext *context) { NOTE0(); *context = (CUcontext)0x7f0000001000; END(); }
CUresult cuCtxSynchronize(void) { NOTE0(); END(); }

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total) {
  NOTE0();
  *free_bytes = 3ull << 30;
  *total = 80ull << 30;
  END();
}
CUresult cuMemAlloc(CUdeviceptr *ptr, size_t bytes) { NOTE1(bytes); *ptr = (CUdeviceptr)malloc(bytes); END(); }
CUresult cuMemFree(CUdeviceptr ptr) { NOTE0(); free((void *)ptr); END(); }
CUresult cuMemHostAlloc(void **ptr, size_t bytes, unsigned int flags) {
  NOTE2(bytes, flags);
  // An address range without memory behind it: blocks of many gigabytes are asked for.
  *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  END();
}
CUresult cuMemHostGetDevicePointer(CUdeviceptr *device, void *host, unsigned int flags) {
  NOTE1(flags);
  *device = (CUdeviceptr)host;
  END();
}
CUresult cuMemFreeHost(void *host) { NOTE1(host); END(); }
CUresult cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t bytes) {
  NOTE1(bytes);
  memcpy((void *)dst, src, bytes);
  END();
}
CUresult cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t bytes) {
  NOTE1(bytes);
  memcpy(dst, (void *)src, bytes);
  END();
}
CUresult cuMemcpyDtoD(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  NOTE1(bytes);
  memcpy((void *)dst, (void *)src, bytes);
  END();
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream) {
  NOTE2(bytes, stream);
  memcpy((void *)dst, src, bytes);
  END();
}
CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  NOTE2(bytes, stream);
  memcpy(dst, (void *)src, bytes);
  END();
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  NOTE2(bytes, stream);
  memcpy((void *)dst, (void *)src, bytes);
  END();
}
CUresult cuMemsetD8(CUdeviceptr dst, unsigned char value, size_t count) { NOTE3(dst, value, count); END(); }
CUresult cuMemsetD32(CUdeviceptr dst, unsigned int value, size_t count) { NOTE3(dst, value, count); END(); }
CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t count, CUstream stream) {
  NOTE4(dst, value, count, stream);
  END();
}
CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned int value, size_t count, CUstream stream) {
  NOTE4(dst, value, count, stream);
  END();
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority) {
  note("%s %u %d", __func__, flags, priority);
  *stream = (CUstream)0x7f0000002000;
  END();
}
CUresult cuStreamDestroy(CUstream stream) { NOTE1(stream); END(); }
CUresult cuStreamQuery(CUstream stream) { NOTE1(stream); END(); }
CUresult cuStreamSynchronize(CUstream stream) { NOTE1(stream); END(); }
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) { NOTE3(stream, event, flags); END(); }
CUresult cuEventCreate(CUevent *event, unsigned int flags) { NOTE1(flags); *event = (CUevent)0x7f0000003000; END(); }
CUresult cuEventDestroy(CUevent event) { NOTE1(event); END(); }
CUresult cuEventRecord(CUevent event, CUstream stream) { NOTE2(event, stream); END(); }
CUresult cuEventQuery(CUevent event) { NOTE1(event); END(); }
CUresult cuEventSynchronize(CUevent event) { NOTE1(event); END(); }
#undef cuEventElapsedTime // The first version, which every driver has.
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent stop) {
  NOTE2(start, stop);
  *milliseconds = 1.5f;
  END();
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  note("%s '%s'", __func__, (const char *)image);
  *module = (CUmodule)0x7f0000004000;
  END();
}
CUresult cuModuleUnload(CUmodule module) { NOTE1(module); END(); }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  note("%s %llu '%s'", __func__, U(module), name);
  *function = (CUfunction)0x7f0000005000;
  END();
}
CUresult cuModuleGetGlobal(CUdeviceptr *ptr, size_t *bytes, CUmodule module, const char *name) {
  note("%s %llu '%s'", __func__, U(module), name);
  *ptr = 0x7f0000006000;
  *bytes = 12;
  END();
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
  NOTE2(attribute, function);
  *value = 100 + (int)attribute;
  END();
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  NOTE3(function, attribute, value);
  END();
}
CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *size) {
  // Of the signature every test kernel has, see note_params.
  static const size_t offsets[] = {0, 8, 16, 24}, sizes[] = {8, 4, 8, 1};
  if (index >= 4) return CUDA_ERROR_INVALID_VALUE;
  NOTE2(function, index);
  *offset = offsets[index];
  *size = sizes[index];
  END();
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
                                const cuuint32_t *steps, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                CUtensorMapFloatOOBfill fill) {
  note("%s %s rank %u at %llu dims", __func__,
       type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16  ? "bf16"
       : type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 ? "f16"
                                                 : "?",
       rank, U(address));
  for (cuuint32_t i = 0; i < rank; i++) note(" %llu", U(dims[i]));
  for (cuuint32_t i = 0; i + 1 < rank; i++) note(" stride %llu", U(strides[i]));
  for (cuuint32_t i = 0; i < rank; i++) note(" box %u step %u", box[i], steps[i]);
  if (interleave == CU_TENSOR_MAP_INTERLEAVE_NONE) note(" plain");
  if (swizzle == CU_TENSOR_MAP_SWIZZLE_128B) note(" swizzle 128B");
  if (promotion == CU_TENSOR_MAP_L2_PROMOTION_L2_256B) note(" promotion 256B");
  if (fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) note(" zeros");
  // The driver refuses a misaligned map, and so does a device that is passed one.
  if ((size_t)map % _Alignof(CUtensorMap) != 0) return CUDA_ERROR_INVALID_VALUE;
  memset(map, (int)(dims[0] & 0xff), sizeof *map);
  END();
}

// Every test kernel takes (u64, f32, i64, u8), so that padding and widths show.
static void note_params(void **params) {
  note(" params %llu %g %lld %d", *(unsigned long long *)params[0], *(float *)params[1],
       *(long long *)params[2], *(unsigned char *)params[3]);
}
CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction function, void **params, void **extra) {
  NOTE1(function);
  note(" grid %u %u %u block %u %u %u shared %u stream %llu extra %llu", c->gridDimX, c->gridDimY,
       c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes, U(c->hStream), U(extra));
  for (unsigned i = 0; i < c->numAttrs; i++) {
    const CUlaunchAttribute *a = &c->attrs[i];
    if (a->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      note(" cluster %u %u %u", a->value.clusterDim.x, a->value.clusterDim.y, a->value.clusterDim.z);
    else if (a->id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
      note(" programmatic %d", a->value.programmaticStreamSerializationAllowed);
    else if (a->id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
      note(" cooperative %d", a->value.cooperative);
    else
      note(" unknown attribute %d", (int)a->id);
  }
  note_params(params);
  END();
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) { NOTE2(stream, mode); END(); }
CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                                     const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode) {
  NOTE4(stream, graph, edges, mode);
  for (size_t i = 0; i < count; i++) note(" after %llu", U(dependencies[i]));
  END();
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) { NOTE1(stream); *graph = (CUgraph)0x7f0000007000; END(); }
CUresult cuGraphCreate(CUgraph *graph, unsigned int flags) { NOTE1(flags); *graph = (CUgraph)0x7f0000007000; END(); }
CUresult cuGraphDestroy(CUgraph graph) { NOTE1(graph); END(); }
CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
  NOTE1(graph);
  *count = 2;
  if (nodes) nodes[0] = (CUgraphNode)0x7f0000008000, nodes[1] = (CUgraphNode)0x7f0000008008;
  END();
}
static void note_node(const CUDA_KERNEL_NODE_PARAMS *p) {
  note(" function %llu grid %u %u %u block %u %u %u shared %u extra %llu kern %llu ctx %llu", U(p->func),
       p->gridDimX, p->gridDimY, p->gridDimZ, p->blockDimX, p->blockDimY, p->blockDimZ, p->sharedMemBytes,
       U(p->extra), U(p->kern), U(p->ctx));
  note_params(p->kernelParams);
}
CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS *params) {
  NOTE1(graph);
  for (size_t i = 0; i < count; i++) note(" after %llu", U(dependencies[i]));
  note_node(params);
  *node = (CUgraphNode)0x7f0000008000;
  END();
}
CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID id, const CUkernelNodeAttrValue *value) {
  NOTE1(node);
  if (id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
    note(" cluster %u %u %u", value->clusterDim.x, value->clusterDim.y, value->clusterDim.z);
  else if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
    note(" cooperative %d", value->cooperative);
  else
    note(" unknown attribute %d", (int)id);
  END();
}
CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle *handle, CUgraph graph, CUcontext context,
                                        unsigned int value, unsigned int flags) {
  NOTE4(graph, context, value, flags);
  *handle = 0xfedcba9876543210ull; // More than 53 bits: the handle is opaque.
  END();
}
CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                        const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params) {
  static CUgraph bodies[8];
  NOTE2(graph, edges);
  for (size_t i = 0; i < count; i++) note(" after %llu", U(dependencies[i]));
  note(" type %d", (int)params->type);
  note(" handle %llx kind %d size %u ctx %llu", U(params->conditional.handle), (int)params->conditional.type,
       params->conditional.size, U(params->conditional.ctx));
  const unsigned char *bytes = (const unsigned char *)params;
  unsigned stray = 0;
  for (size_t i = sizeof params->type; i < offsetof(CUgraphNodeParams, conditional); i++) stray |= bytes[i];
  for (size_t i = offsetof(CUgraphNodeParams, conditional) + sizeof params->conditional; i < sizeof *params; i++)
    stray |= bytes[i];
  note(" reserved %u", stray);
  for (unsigned i = 0; i < params->conditional.size; i++) bodies[i] = (CUgraph)(0x7f0000009000ull + 8 * i);
  params->conditional.phGraph_out = bodies;
  *node = (CUgraphNode)0x7f0000008010;
  END();
}
CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
  NOTE2(graph, flags);
  *exec = (CUgraphExec)0x7f000000a000;
  END();
}
CUresult cuGraphExecDestroy(CUgraphExec exec) { NOTE1(exec); END(); }
CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info) {
  NOTE2(exec, graph);
  memset(info, 0, sizeof *info);
  END();
}
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *params) {
  NOTE2(exec, node);
  note_node(params);
  END();
}
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) { NOTE2(exec, stream); END(); }
