/**
 * The device and function attributes the runtime asks for, by name, with their driver-API numbers
 * (`CUdevice_attribute` and `CUfunction_attribute` of cuda.h).
 */

export const DEVICE_ATTRIBUTES = {
  maxThreadsPerBlock: 1,
  maxBlockDimX: 2,
  maxBlockDimY: 3,
  maxBlockDimZ: 4,
  maxGridDimX: 5,
  maxGridDimY: 6,
  maxGridDimZ: 7,
  /** Bytes of static plus dynamic shared memory a block may use without opting in. */
  maxSharedMemoryPerBlock: 8,
  warpSize: 10,
  maxRegistersPerBlock: 12,
  /** Kilohertz. Drivers from CUDA 13 on may answer 0. */
  clockRate: 13,
  multiprocessorCount: 16,
  /** Non-zero when mapped host memory can be read by kernels. */
  canMapHostMemory: 19,
  /** Kilohertz. Drivers from CUDA 13 on may answer 0. */
  memoryClockRate: 36,
  /** Bits. */
  globalMemoryBusWidth: 37,
  /** Bytes. */
  l2CacheSize: 38,
  maxThreadsPerMultiprocessor: 39,
  unifiedAddressing: 41,
  computeCapabilityMajor: 75,
  computeCapabilityMinor: 76,
  maxSharedMemoryPerMultiprocessor: 81,
  maxRegistersPerMultiprocessor: 82,
  cooperativeLaunch: 95,
  /** Bytes a block may use once `maxDynamicSharedSize` of the function is raised. */
  maxSharedMemoryPerBlockOptin: 97,
  clusterLaunch: 120,
} as const;

export type DeviceAttribute = keyof typeof DEVICE_ATTRIBUTES;

export const FUNCTION_ATTRIBUTES = {
  maxThreadsPerBlock: 0,
  /** Bytes of static shared memory. */
  sharedSize: 1,
  constSize: 2,
  /** Bytes of local memory per thread: spills, stack and dynamically indexed arrays. */
  localSize: 3,
  numRegisters: 4,
  ptxVersion: 5,
  binaryVersion: 6,
  /** Bytes of dynamic shared memory a launch may ask for; raise it to go past 48 KiB. */
  maxDynamicSharedSize: 8,
  /** Percent of the unified cache to prefer as shared memory, -1 for the driver's choice. */
  preferredSharedMemoryCarveout: 9,
  /** Non-zero allows clusters of more than 8 blocks. */
  nonPortableClusterSizeAllowed: 14,
} as const;

export type FunctionAttribute = keyof typeof FUNCTION_ATTRIBUTES;
/** The attributes `functionSetAttribute` takes; the driver derives the others from the binary. */
export type SettableFunctionAttribute =
  | "maxDynamicSharedSize"
  | "preferredSharedMemoryCarveout"
  | "nonPortableClusterSizeAllowed";
