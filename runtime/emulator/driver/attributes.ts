import type { DeviceAttribute } from "../../driver/attributes.ts";

/** What the emulated devices answer: the figures of an A100 (8.0) and an H100 (9.0). */
const ATTRIBUTES: Readonly<
  Record<DeviceAttribute, { readonly "8.0": number; readonly "9.0": number }>
> = {
  maxThreadsPerBlock: { "8.0": 1024, "9.0": 1024 },
  maxBlockDimX: { "8.0": 1024, "9.0": 1024 },
  maxBlockDimY: { "8.0": 1024, "9.0": 1024 },
  maxBlockDimZ: { "8.0": 64, "9.0": 64 },
  maxGridDimX: { "8.0": 2147483647, "9.0": 2147483647 },
  maxGridDimY: { "8.0": 65535, "9.0": 65535 },
  maxGridDimZ: { "8.0": 65535, "9.0": 65535 },
  maxSharedMemoryPerBlock: { "8.0": 49152, "9.0": 49152 },
  warpSize: { "8.0": 32, "9.0": 32 },
  maxRegistersPerBlock: { "8.0": 65536, "9.0": 65536 },
  clockRate: { "8.0": 1410000, "9.0": 1980000 },
  multiprocessorCount: { "8.0": 108, "9.0": 132 },
  canMapHostMemory: { "8.0": 1, "9.0": 1 },
  memoryClockRate: { "8.0": 1215000, "9.0": 2619000 },
  globalMemoryBusWidth: { "8.0": 5120, "9.0": 5120 },
  l2CacheSize: { "8.0": 41943040, "9.0": 52428800 },
  maxThreadsPerMultiprocessor: { "8.0": 2048, "9.0": 2048 },
  unifiedAddressing: { "8.0": 1, "9.0": 1 },
  computeCapabilityMajor: { "8.0": 8, "9.0": 9 },
  computeCapabilityMinor: { "8.0": 0, "9.0": 0 },
  maxSharedMemoryPerMultiprocessor: { "8.0": 167936, "9.0": 233472 },
  maxRegistersPerMultiprocessor: { "8.0": 65536, "9.0": 65536 },
  cooperativeLaunch: { "8.0": 1, "9.0": 1 },
  maxSharedMemoryPerBlockOptin: { "8.0": 166912, "9.0": 232448 },
  clusterLaunch: { "8.0": 0, "9.0": 1 },
};

export function deviceAttribute(capability: "8.0" | "9.0", attribute: DeviceAttribute): number {
  return ATTRIBUTES[attribute][capability];
}
