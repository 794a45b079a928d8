/** All kernels of the conformance suite: for the emulator, and for a GPU where there is one. */
import { integerCases } from "./integer-cases.ts";
import type { KernelCase } from "./kernel-case.ts";

export const kernelCases: readonly KernelCase[] = [...integerCases];
