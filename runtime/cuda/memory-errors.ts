import { HydrantError } from "../../src/util/errors.ts";
import { CUDA_RESULTS, CudaError } from "../driver/check.ts";
import type { CudaDevice } from "./device.ts";

/** One thing memory is needed for, in words: `the weights`. */
export interface Need {
  readonly what: string;
  /** Bytes. */
  readonly bytes: number;
}

const subjects = {
  "cuda/model-too-large": {
    subject: "The model",
    hint: "Use a smaller model, or end other programs on the GPU (nvidia-smi lists them).",
  },
  "cuda/session-too-large": {
    subject: "The session",
    hint: "Use a shorter context, a smaller tree or a smaller model, or end other sessions.",
  },
} as const;
type TooLarge = keyof typeof subjects;

/**
 * Refuses at once what cannot be allocated.
 * @throws HydrantError `code`, with the sum, what is free and by how much it misses.
 */
export function checkRoom(device: CudaDevice, code: TooLarge, needs: readonly Need[]): void {
  const { free } = device.driver.memoryInfo();
  if (needs.reduce((sum, { bytes }) => sum + bytes, 0) > free) throw tooLarge(device, code, needs);
}

/** What to throw for an error while allocating: running out of memory is told as `checkRoom` does. */
export function explainAllocation(
  device: CudaDevice,
  code: TooLarge,
  needs: readonly Need[],
  error: unknown,
): unknown {
  const isMemory =
    error instanceof CudaError && error.result === CUDA_RESULTS.CUDA_ERROR_OUT_OF_MEMORY;
  return isMemory ? tooLarge(device, code, needs, error) : error;
}

function tooLarge(
  device: CudaDevice,
  code: TooLarge,
  needs: readonly Need[],
  cause?: CudaError,
): HydrantError {
  const { subject, hint } = subjects[code];
  const sum = needs.reduce((total, { bytes }) => total + bytes, 0);
  const parts = needs
    .filter(({ bytes }) => bytes > 0)
    .map(({ what, bytes }) => `${what} ${formatBytes(bytes)}`)
    .join(", ");
  const { free, total } = memoryOf(device);
  const missing = Math.max(0, sum - free);
  // Memory in pieces too small for one allocation, or page-locked memory of the host.
  const verdict =
    missing > 0 ? `${formatBytes(missing)} too little` : "which the driver could not give";
  return new HydrantError(
    code,
    `${subject} needs ${formatBytes(sum)} (${parts}); ${formatBytes(free)} of ${formatBytes(total)} are free: ${verdict}.`,
    { path: device.name, hint, cause },
  );
}

function memoryOf(device: CudaDevice): { readonly free: number; readonly total: number } {
  try {
    return device.driver.memoryInfo();
  } catch {
    return { free: 0, total: 0 };
  }
}

/** `1.50 GiB`, `3.25 MiB`, `12 KiB` */
export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}
