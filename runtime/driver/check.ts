/** CUresult → typed error with a remedy. */
import { HydrantError } from "../../src/util/errors.ts";

/** The results this project tells apart, with their driver-API numbers (`CUresult` of cuda.h). */
export const CUDA_RESULTS = {
  CUDA_ERROR_INVALID_VALUE: 1,
  CUDA_ERROR_OUT_OF_MEMORY: 2,
  CUDA_ERROR_NOT_INITIALIZED: 3,
  CUDA_ERROR_DEINITIALIZED: 4,
  CUDA_ERROR_STUB_LIBRARY: 34,
  CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER: 36,
  CUDA_ERROR_DEVICE_UNAVAILABLE: 46,
  CUDA_ERROR_NO_DEVICE: 100,
  CUDA_ERROR_INVALID_DEVICE: 101,
  CUDA_ERROR_INVALID_IMAGE: 200,
  CUDA_ERROR_INVALID_CONTEXT: 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU: 209,
  CUDA_ERROR_ECC_UNCORRECTABLE: 214,
  CUDA_ERROR_INVALID_PTX: 218,
  CUDA_ERROR_JIT_COMPILER_NOT_FOUND: 221,
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION: 222,
  CUDA_ERROR_OPERATING_SYSTEM: 304,
  CUDA_ERROR_INVALID_HANDLE: 400,
  CUDA_ERROR_NOT_FOUND: 500,
  CUDA_ERROR_NOT_READY: 600,
  CUDA_ERROR_ILLEGAL_ADDRESS: 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: 701,
  CUDA_ERROR_LAUNCH_TIMEOUT: 702,
  CUDA_ERROR_CONTEXT_IS_DESTROYED: 709,
  CUDA_ERROR_ASSERT: 710,
  CUDA_ERROR_HARDWARE_STACK_ERROR: 714,
  CUDA_ERROR_ILLEGAL_INSTRUCTION: 715,
  CUDA_ERROR_MISALIGNED_ADDRESS: 716,
  CUDA_ERROR_INVALID_ADDRESS_SPACE: 717,
  CUDA_ERROR_INVALID_PC: 718,
  CUDA_ERROR_LAUNCH_FAILED: 719,
  CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: 720,
  CUDA_ERROR_NOT_PERMITTED: 800,
  CUDA_ERROR_NOT_SUPPORTED: 801,
  CUDA_ERROR_SYSTEM_NOT_READY: 802,
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: 803,
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: 804,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: 901,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED: 903,
  CUDA_ERROR_STREAM_CAPTURE_UNJOINED: 904,
  CUDA_ERROR_STREAM_CAPTURE_IMPLICIT: 906,
  CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE: 910,
  CUDA_ERROR_INVALID_CLUSTER_SIZE: 912,
  CUDA_ERROR_UNKNOWN: 999,
} as const;

export type CudaResultName = keyof typeof CUDA_RESULTS;

const NAME_OF = new Map<number, CudaResultName>(
  Object.entries(CUDA_RESULTS).map(([name, value]) => [value, name as CudaResultName]),
);

/** The driver's own name of a result, or `CUresult N` for one without a remedy of ours. */
export function cudaResultName(result: number): string {
  return NAME_OF.get(result) ?? `CUresult ${result}`;
}

interface Remedy {
  readonly code: string;
  readonly what: string;
  readonly hint: string;
}

const BAD_KERNEL =
  "The CUDA context is lost: end this process. Run the kernel on the emulator to see the thread and line at fault.";

const REMEDIES: Partial<Record<CudaResultName, Remedy>> = {
  CUDA_ERROR_INVALID_VALUE: {
    code: "cuda/invalid-value",
    what: "an argument is out of range",
    hint: "Check the sizes, dimensions and pointers of the call named here.",
  },
  CUDA_ERROR_OUT_OF_MEMORY: {
    code: "cuda/out-of-memory",
    what: "the device is out of memory",
    hint: "Use a shorter context or a smaller model, or end other programs on the GPU (nvidia-smi lists them).",
  },
  CUDA_ERROR_NOT_INITIALIZED: {
    code: "cuda/not-initialized",
    what: "the driver was used before init()",
    hint: "Open the driver through openDriver.",
  },
  CUDA_ERROR_STUB_LIBRARY: {
    code: "cuda/stub-library",
    what: "the libcuda found is the toolkit's link-time stub",
    hint: "Remove the toolkit's stubs folder from LD_LIBRARY_PATH.",
  },
  CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER: {
    code: "cuda/driver-too-old",
    what: "the call needs a newer driver",
    hint: "Update the NVIDIA driver (525 or newer).",
  },
  CUDA_ERROR_DEVICE_UNAVAILABLE: {
    code: "cuda/device-busy",
    what: "the device is held by another process in exclusive mode",
    hint: "Wait for it, or choose another GPU with CUDA_VISIBLE_DEVICES.",
  },
  CUDA_ERROR_NO_DEVICE: {
    code: "cuda/no-device",
    what: "there is a driver but no CUDA device",
    hint: "Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use the CPU or the emulator.",
  },
  CUDA_ERROR_INVALID_DEVICE: {
    code: "cuda/invalid-device",
    what: "there is no device of that number",
    hint: "`hydra doctor` lists the devices.",
  },
  CUDA_ERROR_INVALID_IMAGE: {
    code: "cuda/invalid-image",
    what: "the module image is damaged or not a module",
    hint: "Clear the kernel cache and compile again.",
  },
  CUDA_ERROR_INVALID_CONTEXT: {
    code: "cuda/invalid-context",
    what: "no usable context is current",
    hint: "Retain the primary context and make it current first.",
  },
  CUDA_ERROR_NO_BINARY_FOR_GPU: {
    code: "cuda/no-binary-for-gpu",
    what: "the module holds no code for this GPU",
    hint: "Compile for the architecture of the device (`hydra doctor` names it).",
  },
  CUDA_ERROR_ECC_UNCORRECTABLE: {
    code: "cuda/ecc-error",
    what: "device memory has an uncorrectable error",
    hint: "Reset or replace the GPU; `nvidia-smi -q -d ECC` shows the counts.",
  },
  CUDA_ERROR_INVALID_PTX: {
    code: "cuda/invalid-ptx",
    what: "the driver's compiler refused the PTX",
    hint: "Compile for the exact architecture (sm_XX) to see the message of ptxas.",
  },
  CUDA_ERROR_JIT_COMPILER_NOT_FOUND: {
    code: "cuda/no-jit",
    what: "the driver has no PTX compiler (libnvidia-ptxjitcompiler is missing)",
    hint: "Install it with the driver, or compile to a cubin (sm_XX).",
  },
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION: {
    code: "cuda/driver-too-old",
    what: "the PTX is newer than the driver",
    hint: "Update the NVIDIA driver, or use an NVRTC no newer than the driver.",
  },
  CUDA_ERROR_NOT_FOUND: {
    code: "cuda/not-found",
    what: "the module has no such symbol",
    hint: 'Declare the kernel extern "C", or look it up by its lowered name.',
  },
  CUDA_ERROR_ILLEGAL_ADDRESS: {
    code: "cuda/illegal-address",
    what: "a kernel accessed memory it does not own",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: {
    code: "cuda/launch-out-of-resources",
    what: "the block needs more registers or shared memory than a multiprocessor has",
    hint: "Launch fewer threads per block, or raise maxDynamicSharedSize of the function.",
  },
  CUDA_ERROR_LAUNCH_TIMEOUT: {
    code: "cuda/launch-timeout",
    what: "a kernel ran past the display driver's time limit",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_CONTEXT_IS_DESTROYED: {
    code: "cuda/context-lost",
    what: "the context was destroyed",
    hint: "End this process: a destroyed context cannot be used again.",
  },
  CUDA_ERROR_ASSERT: {
    code: "cuda/device-assert",
    what: "a kernel called assert or trap",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_HARDWARE_STACK_ERROR: {
    code: "cuda/kernel-fault",
    what: "a kernel ran over its stack",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_ILLEGAL_INSTRUCTION: {
    code: "cuda/kernel-fault",
    what: "a kernel met an illegal instruction or trapped",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_MISALIGNED_ADDRESS: {
    code: "cuda/misaligned-address",
    what: "a kernel accessed an address that is not a multiple of the access size",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_INVALID_ADDRESS_SPACE: {
    code: "cuda/kernel-fault",
    what: "a kernel used an address of the wrong memory space",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_INVALID_PC: {
    code: "cuda/kernel-fault",
    what: "a kernel jumped outside its code",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_LAUNCH_FAILED: {
    code: "cuda/kernel-fault",
    what: "a kernel failed",
    hint: BAD_KERNEL,
  },
  CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: {
    code: "cuda/cooperative-launch-too-large",
    what: "the grid of a cooperative launch does not fit on the device at once",
    hint: "Launch at most as many blocks as are resident together.",
  },
  CUDA_ERROR_NOT_PERMITTED: {
    code: "cuda/not-permitted",
    what: "the call is not allowed here (some are not while a stream is captured)",
    hint: "Make the call before or after the capture.",
  },
  CUDA_ERROR_NOT_SUPPORTED: {
    code: "cuda/not-supported",
    what: "the device or the driver cannot do this",
    hint: "`hydra doctor` shows what they can.",
  },
  CUDA_ERROR_SYSTEM_NOT_READY: {
    code: "cuda/system-not-ready",
    what: "the machine's GPU services are not running",
    hint: "On machines with NVSwitch, start nvidia-fabricmanager.",
  },
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: {
    code: "cuda/driver-mismatch",
    what: "libcuda and the kernel module are of different versions",
    hint: "Reboot after a driver update, or install the libcuda of the running driver.",
  },
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: {
    code: "cuda/driver-mismatch",
    what: "the forward-compatibility libcuda does not work with this GPU",
    hint: "Update the driver, or remove the cuda-compat folder from LD_LIBRARY_PATH.",
  },
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: {
    code: "cuda/capture",
    what: "the call cannot be captured into a graph",
    hint: "Make it before or after the capture.",
  },
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: {
    code: "cuda/capture",
    what: "an earlier error ended the capture",
    hint: "Look at the first error of the capture.",
  },
  CUDA_ERROR_STREAM_CAPTURE_UNJOINED: {
    code: "cuda/capture",
    what: "a stream that forked off the captured one was not joined again",
    hint: "Make the captured stream wait for an event of the other before the capture ends.",
  },
  CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE: {
    code: "cuda/graph-update",
    what: "the new graph differs in shape from the instantiated one",
    hint: "Instantiate it anew.",
  },
  CUDA_ERROR_INVALID_CLUSTER_SIZE: {
    code: "cuda/invalid-cluster",
    what: "the cluster does not fit the grid or the device",
    hint: "A cluster must divide the grid and have at most 8 blocks (16 when the function opts in).",
  },
};

/** Results after which every later call on the context fails the same way. */
const STICKY: ReadonlySet<CudaResultName> = new Set([
  "CUDA_ERROR_ECC_UNCORRECTABLE",
  "CUDA_ERROR_ILLEGAL_ADDRESS",
  "CUDA_ERROR_LAUNCH_TIMEOUT",
  "CUDA_ERROR_CONTEXT_IS_DESTROYED",
  "CUDA_ERROR_ASSERT",
  "CUDA_ERROR_HARDWARE_STACK_ERROR",
  "CUDA_ERROR_ILLEGAL_INSTRUCTION",
  "CUDA_ERROR_MISALIGNED_ADDRESS",
  "CUDA_ERROR_INVALID_ADDRESS_SPACE",
  "CUDA_ERROR_INVALID_PC",
  "CUDA_ERROR_LAUNCH_FAILED",
]);

/** A driver call that did not succeed. */
export class CudaError extends HydrantError {
  override readonly name = "CudaError";
  /** The driver's number. */
  readonly result: number;
  /** The driver's name, for example `CUDA_ERROR_OUT_OF_MEMORY`. */
  readonly resultName: string;
  /** True when the context is lost and only a new process can go on. */
  readonly sticky: boolean;

  constructor(result: number, call: string, detail?: string) {
    const resultName = cudaResultName(result);
    const known = NAME_OF.get(result);
    const remedy = known === undefined ? undefined : REMEDIES[known];
    const what = remedy?.what ?? "the driver reported an error";
    const sticky = known !== undefined && STICKY.has(known);
    // A kernel runs after its launch call has returned, so its fault shows at some later call.
    const blame = sticky ? " (of this or an earlier asynchronous call)" : "";
    super(
      remedy?.code ?? "cuda/error",
      `${call} failed: ${what}${detail === undefined ? "" : ` (${detail})`} [${resultName}${blame}].`,
      { hint: remedy?.hint ?? "The NVIDIA driver-API manual explains the result named here." },
    );
    this.result = result;
    this.resultName = resultName;
    this.sticky = sticky;
  }
}

/** The error of result `name` in `call`, for drivers of ours that have no CUresult to check. */
export function cudaError(name: CudaResultName, call: string, detail?: string): CudaError {
  return new CudaError(CUDA_RESULTS[name], call, detail);
}
